"""Evidence of what a run used: memory, utilisation, time."""

from colintern.artifacts.resource_log import ResourceLog, read_resource_log
from colintern.artifacts.run_layout import RESOURCE_LOG, RunLayout
from colintern.diagnostics.resource_use import ResourceUse
from colintern.diagnostics.resource_use import resource_use as measured_use
from pytest_colintern.evidence_registry import artifact, evidence
from pytest_colintern.verdict import NoEvidence


@artifact
def resource_log(layout: RunLayout) -> ResourceLog:
    """What the run used, a row a logging step."""
    path = layout.find(RESOURCE_LOG)
    if path is None:
        raise NoEvidence(RESOURCE_LOG, needed_for="memory, utilisation and step time")
    return read_resource_log(path, layout.enclosure)


@evidence
def resource_use(resource_log: ResourceLog) -> ResourceUse:
    """Peaks and means of the resource log."""
    return measured_use(resource_log)
