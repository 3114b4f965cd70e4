"""Evidence of the run's folder, and of who ended the run."""

from contextlib import suppress

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.live_record import read_live_record
from colintern.artifacts.run_layout import LIVE_RECORD, RunLayout, read_run_layout
from pytest_colintern.evidence_registry import artifact, evidence
from pytest_colintern.subject import Subject
from pytest_colintern.verdict import NoEvidence


@artifact
def layout(subject: Subject) -> RunLayout:
    """What the path holds and where its files are."""
    return read_run_layout(subject.path)


@evidence
def live_end(layout: RunLayout) -> str:
    """The rule by which the audit of the running training ended it on purpose."""
    path = layout.folder.get(LIVE_RECORD)
    if path is not None:
        # A record of another version ended nothing that we know of.
        with suppress(ArtifactError):
            record = read_live_record(path, layout.enclosure)
            if record.status == "stopped" and record.stopped_by:
                return record.stopped_by
    raise NoEvidence(LIVE_RECORD, needed_for="what ended the run")
