"""Evidence of what the artefacts could do, and of what is wrong with them as files."""

from collections.abc import Iterable

from msgspec import Struct

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.folder.pickles import FolderPickles, examine_pickles
from colintern.artifacts.folder.remote_code import RemoteCode, read_remote_code
from colintern.artifacts.folder.sound_files import unsound_files
from colintern.artifacts.folder.unread_files import UnreadFiles, unread_files
from colintern.artifacts.folder.walk import DEEPEST, FolderWalk, walk_folder
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.run.layout import RunLayout
from colintern.diagnostics.pickle_safety import PickleRisk, assess_pickle
from colintern.engine.evidence import sources
from colintern.engine.resolver import Resolver, evidence, is_artifact
from colintern.engine.verdict import NoEvidence


def too_many_files(*, needed_for: str) -> NoEvidence:
    """Return what is missing where only a part of the folder was looked at."""
    return NoEvidence(
        sources.FOLDER,
        what=f"at most {limits.WALK_ENTRIES:,} files and {DEEPEST} levels of folders",
        needed_for=needed_for,
    )


class Integrity(Struct, frozen=True):
    """Files that are there and cannot be what their names say."""

    malformed: tuple[ArtifactError, ...]
    """In the order of their paths."""
    escaping: tuple[ArtifactError, ...]
    """Links and references that lead outside the folder."""
    num_files: int
    """Files below the subject."""
    is_complete: bool
    """Whether all of them were looked at."""


@evidence
def folder_walk(layout: RunLayout) -> FolderWalk:
    """Every file below the subject."""
    return walk_folder(layout.path, layout.enclosure)


@evidence
def unread(layout: RunLayout, folder_walk: FolderWalk) -> UnreadFiles:
    """The files of the subject that no rule judges."""
    return unread_files(layout.path, folder_walk.files, is_complete=folder_walk.is_complete)


@evidence
def pickles(layout: RunLayout, folder_walk: FolderWalk) -> FolderPickles:
    """What each pickle below the subject would import and call."""
    return examine_pickles(folder_walk.files, layout.enclosure)


@evidence
def pickle_risks(
    layout: RunLayout, folder_walk: FolderWalk, pickles: FolderPickles
) -> tuple[PickleRisk, ...]:
    """What each pickle could do; a broken one leaves that open unless another is dangerous."""
    risks = tuple(assess_pickle(report) for report in pickles.reports)
    faults = [*pickles.faults, *_broken(pickles)]
    broken = [fault for fault in faults if not layout.is_cut_off(fault.path)]
    if any(risk.dangerous for risk in risks):
        return risks
    if broken:
        raise broken[0]
    if not (folder_walk.is_complete and pickles.is_complete):
        raise too_many_files(needed_for="examining all its pickles")
    return risks


@evidence
def remote_code(layout: RunLayout, folder_walk: FolderWalk) -> RemoteCode:
    """Where configuration files name code that loading would run."""
    found = read_remote_code(folder_walk.files, layout.enclosure)
    if not found.num_files:
        raise NoEvidence(sources.ANY_CONFIG, needed_for="finding code that loading would run")
    if not (found.references or (found.is_complete and folder_walk.is_complete)):
        raise too_many_files(needed_for="finding code that loading would run")
    return found


@evidence
def integrity(  # noqa: PLR0917 - the resolver calls it by name
    resolver: Resolver,
    layout: RunLayout | None,
    folder_walk: FolderWalk | None,
    pickles: FolderPickles | None,
    remote_code: RemoteCode | None,
    task_results: TaskResults | None,
) -> Integrity:
    """Every fault of every file, each once: of those that rules need, and of all others."""
    faults = _Faults()
    faults.add(_evidence_faults(resolver))
    if layout is not None:
        faults.add(layout.faults)
    if pickles is not None:
        faults.add(pickles.faults)
        faults.add(_broken(pickles))
    if remote_code is not None:
        faults.add(remote_code.faults)
    if task_results is not None:
        faults.add(task_results.errors)
    num_files = 0
    if layout is not None and folder_walk is not None:
        num_files = len(folder_walk.files)
        faults.add(folder_walk.escaping)
        faults.add(folder_walk.faults)
        known = {error.path for error in faults.found.values()}
        faults.add(unsound_files(folder_walk.files, layout.enclosure, known))
    errors = sorted(faults.found.values(), key=lambda error: error.path)
    if layout is not None:
        # A save that was killed leaves broken files, which nothing loads; links still count.
        errors = [each for each in errors if each.escapes or not layout.is_cut_off(each.path)]
    return Integrity(
        malformed=tuple(error for error in errors if not error.escapes),
        escaping=tuple(error for error in errors if error.escapes),
        num_files=num_files,
        is_complete=folder_walk is None or folder_walk.is_complete,
    )


def _broken(pickles: FolderPickles) -> list[ArtifactError]:
    return [
        report.fault
        for report in pickles.reports
        if report.fault is not None and not report.is_over_limit
    ]


class _Faults:
    """The first error of each file, of either kind."""

    def __init__(self) -> None:
        self.found: dict[tuple[object, bool], ArtifactError] = {}

    def add(self, errors: Iterable[ArtifactError]) -> None:
        for error in errors:
            self.found.setdefault((error.path, error.escapes), error)


def _evidence_faults(resolver: Resolver) -> list[ArtifactError]:
    faults = []
    for name, provider in resolver.providers.items():
        if not is_artifact(provider):
            continue
        try:
            resolver.get(name)
        except ArtifactError as error:
            faults.append(error)
        except Exception:  # noqa: BLE001, S112 - absent, or a fault of ours that its rules report
            continue
    return faults
