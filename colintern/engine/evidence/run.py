"""Evidence of the run's folder, and of who ended the run."""

from contextlib import suppress
from dataclasses import replace
from typing import Final

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.logs.resource_log import ResourceLog, read_resource_log
from colintern.artifacts.run.layout import (
    ADAPTER_CONFIG,
    CHECKPOINT_FOLDER,
    LIVE_RECORD,
    RESOURCE_LOG,
    TRAINER_STATE,
    Folder,
    RunLayout,
    read_run_layout,
)
from colintern.artifacts.run.trace import RunTrace, read_run_trace
from colintern.artifacts.running.record import LiveRecord, read_live_record
from colintern.diagnostics.resource_use import ResourceUse
from colintern.diagnostics.resource_use import resource_use as measured_use
from colintern.engine.evidence import sources
from colintern.engine.resolver import artifact, evidence
from colintern.engine.subjects import Subject
from colintern.engine.verdict import NoEvidence
from colintern.facts.runs_in_folder import RunsInFolder, runs_in_folder

_MOST_COMPARED: Final = 100
"""Checkpoints, and other folders, whose run is told, the newest ones."""

_ADAPTER_ONLY: Final = frozenset({ADAPTER_CONFIG})


@artifact
def whole_layout(subject: Subject) -> RunLayout:
    """What the path holds, whatever run it is of."""
    return read_run_layout(subject.path)


@evidence
def runs(whole_layout: RunLayout) -> RunsInFolder:
    """The runs that the folder holds checkpoints of."""
    checkpoints = whole_layout.checkpoints[-_MOST_COMPARED:]
    has_root = whole_layout.folder.has_any((TRAINER_STATE, ADAPTER_CONFIG))
    if len(checkpoints) + has_root < 2:  # noqa: PLR2004 - a pair
        raise NoEvidence(
            sources.CHECKPOINTS, what="at least two", needed_for="telling runs from each other"
        )
    return runs_in_folder(
        _trace(whole_layout, whole_layout.folder, None),
        [_trace(whole_layout, each.folder, each.step) for each in checkpoints],
        [
            _trace(whole_layout, Folder(whole_layout.path / name, _ADAPTER_ONLY), None)
            for name in whole_layout.adapters_below[:_MOST_COMPARED]
            if not CHECKPOINT_FOLDER.fullmatch(name)
        ],
    )


@artifact
def layout(whole_layout: RunLayout, runs: RunsInFolder | None) -> RunLayout:
    """What the path holds and where its files are; of several runs, those of the newest."""
    if runs is None or len(runs.runs) < 2 or runs.newest is None:  # noqa: PLR2004 - one is the usual
        return whole_layout
    steps = frozenset(runs.newest.steps)
    kept = tuple(each for each in whole_layout.checkpoints if each.step in steps)
    return replace(whole_layout, checkpoints=kept)


def _trace(whole: RunLayout, folder: Folder, step: int | None) -> RunTrace:
    return read_run_trace(folder, step, whole.enclosure)


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
