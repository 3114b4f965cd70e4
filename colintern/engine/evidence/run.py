"""Evidence of the run's folder, and of who ended the run."""

from contextlib import suppress

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.logs.resource_log import ResourceLog, read_resource_log
from colintern.artifacts.run.layout import LIVE_RECORD, RESOURCE_LOG, RunLayout, read_run_layout
from colintern.artifacts.running.record import LiveRecord, read_live_record
from colintern.diagnostics.resource_use import ResourceUse
from colintern.diagnostics.resource_use import resource_use as measured_use
from colintern.engine.evidence import sources
from colintern.engine.resolver import artifact, evidence
from colintern.engine.subjects import Subject
from colintern.engine.verdict import NoEvidence


@artifact
def layout(subject: Subject) -> RunLayout:
    """What the path holds and where its files are."""
    return read_run_layout(subject.path)


@evidence
def live_record(layout: RunLayout) -> LiveRecord:
    """What the audit of the running training found; a record of another version says nothing."""
    path = layout.folder.get(LIVE_RECORD)
    if path is not None:
        with suppress(ArtifactError):
            return read_live_record(path, layout.enclosure)
    raise NoEvidence(sources.LIVE_RECORD, needed_for="what was found while the run trained")


@evidence
def live_end(live_record: LiveRecord) -> str:
    """The rule by which the audit of the running training ended it on purpose."""
    if live_record.status == "stopped" and live_record.stopped_by:
        return live_record.stopped_by
    raise NoEvidence(sources.LIVE_RECORD, needed_for="the rule that ended the run")


@artifact
def resource_log(layout: RunLayout) -> ResourceLog:
    """What the run used, a row a logging step."""
    path = layout.find(RESOURCE_LOG)
    if path is None:
        raise NoEvidence(sources.RESOURCES, needed_for="memory, utilisation and step time")
    return read_resource_log(path, layout.enclosure)


@evidence
def resource_use(resource_log: ResourceLog) -> ResourceUse:
    """Peaks and means of the resource log."""
    return measured_use(resource_log)
