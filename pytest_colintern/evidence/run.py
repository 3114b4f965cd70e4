"""Evidence of the run's folder, its manifest and its arguments."""

from colintern.artifacts.run_layout import RunLayout, read_run_layout
from pytest_colintern.evidence_registry import artifact
from pytest_colintern.subject import Subject


@artifact
def layout(subject: Subject) -> RunLayout:
    """What the path holds and where its files are."""
    return read_run_layout(subject.path)
