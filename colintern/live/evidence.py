"""Evidence of the running model, for `--live`. torch is imported only when such evidence is asked.

Everything is made from one `live_session`, so the model is loaded once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from msgspec.structs import replace

from colintern.artifacts.printable import printable
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.run.manifest import RunManifest
from colintern.diagnostics.live_measurements import (
    BatchEffect,
    LoadReport,
    MergeEffect,
    Reproduction,
    Retrieval,
    Spread,
    VectorNorms,
)
from colintern.diagnostics.results.benchmarks import PAGES
from colintern.diagnostics.results.result_table import TaskRow, result_table
from colintern.engine.evidence import sources
from colintern.engine.resolver import Resolver, evidence
from colintern.engine.subjects import AuditOptions, Subject
from colintern.engine.verdict import NoEvidence

if TYPE_CHECKING:
    from colintern.live.bounds import TooLargeError
    from colintern.live.pages import LivePages
    from colintern.live.session import LiveSession

_RUNNING: Final = "running the model"
_FINDING: Final = "telling whether the model finds its pages"
_NEEDED: Final = ("torch", "transformers", "peft", "colpali_engine")
_PAGES_TASK: Final = PAGES.tasks[0].name
_GENERATED: Final = "colintern/pages"
"""The training set in the manifest of a model that was trained on the generated pages."""


@evidence
def live_session(options: AuditOptions, subject: Subject, resolver: Resolver) -> "LiveSession":
    """The model, loaded as transformers and PEFT load it, with pages to show it."""
    if not options.live:
        raise NoEvidence(sources.LIVE, needed_for=_RUNNING)
    lacking = [name for name in _NEEDED if find_spec(name) is None]
    if lacking:
        raise NoEvidence(
            sources.TRAIN_EXTRA, detail=f"{lacking[0]} is not installed", needed_for=_RUNNING
        )
    from colintern.evaluation.checkpoint import CheckpointError, checkpoint_of, classes_of  # noqa: PLC0415
    from colintern.live.bounds import TooLargeError  # noqa: PLC0415 - imports torch
    from colintern.live.session import LiveSession  # noqa: PLC0415 - imports torch
    from colintern.live.source import live_source  # noqa: PLC0415 - imports torch

    def say(text: str) -> None:
        if options.progress is not None:
            options.progress(f"{subject.name}: {text}")

    try:
        checkpoint = checkpoint_of(resolver)
        classes_of(checkpoint.family)
        return LiveSession(live_source(checkpoint, resolver), _pages(options), say)
    except TooLargeError as error:
        raise _no_room(error) from error
    except ImportError as error:
        raise NoEvidence(
            sources.LIBRARIES,
            detail=printable(error, limit=200),
            needed_for=_RUNNING,
        ) from error
    except CheckpointError as error:
        raise NoEvidence(sources.RUNNABLE, detail=printable(error), needed_for=_RUNNING) from error


@evidence
def live_load(live_session: "LiveSession") -> LoadReport:
    """What became of every tensor when the model was loaded."""
    return live_session.report


@evidence
def live_norms(live_session: "LiveSession", live_load: LoadReport) -> VectorNorms:
    """Lengths of the vectors of some pages and queries."""
    _require(live_load)
    return live_session.norms()


@evidence
def live_repeat_difference(live_session: "LiveSession", live_load: LoadReport) -> float:
    """Largest difference of two passes over the same pages."""
    _require_finite(live_session, live_load)
    return live_session.repeat_difference()


@evidence
def live_batch_effect(live_session: "LiveSession", live_load: LoadReport) -> BatchEffect:
    """The same pages and queries alone and together."""
    _require_finite(live_session, live_load)
    return live_session.batch_effect()


@evidence
def live_adapter_effect(live_session: "LiveSession", live_load: LoadReport) -> float:
    """Largest change of a vector by the adapter."""
    _require_finite(live_session, live_load)
    _require_adapter(live_session)
    return live_session.adapter_effect()


@evidence
def live_load_difference(live_session: "LiveSession", live_load: LoadReport) -> float:
    """Largest difference of the projection between two loads."""
    _require(live_load)
    with _room():
        return live_session.load_difference()


@evidence
def live_ranking(live_session: "LiveSession", live_load: LoadReport) -> Retrieval:
    """NDCG@5 on all pages; the longest measurement, made only when a rule needs it."""
    _require_finite(live_session, live_load)
    with _room():
        return live_session.retrieval()


@evidence
def live_retrieval(
    live_session: "LiveSession",
    live_load: LoadReport,
    manifest: RunManifest | None,
    resolver: Resolver,
) -> Retrieval:
    """NDCG@5 on pages that the model should know."""
    _require_finite(live_session, live_load)
    pages = live_session.pages
    names = {dataset.name for dataset in (manifest.datasets or ())} if manifest else set()
    if pages.generated and _GENERATED not in names:
        raise NoEvidence(
            sources.LIVE_PAGES,
            what="pages that it was trained on",
            detail="these are generated",
            needed_for=_FINDING,
        )
    if not pages.relevant:
        raise NoEvidence(sources.LIVE_PAGES, what="queries with their answers", needed_for=_FINDING)
    found: Retrieval = resolver.get("live_ranking")
    if not found.tells:
        raise NoEvidence(
            sources.LIVE_PAGES,
            what="enough pages and queries",
            detail=f"found {found.num_pages} and {found.num_queries}",
            needed_for="telling a model from chance",
        )
    return found


@evidence
def live_reproduction(
    live_session: "LiveSession", task_results: TaskResults, resolver: Resolver
) -> Reproduction:
    """NDCG@5 on the generated pages, now and as the results have it."""
    pages = live_session.pages
    result, row = task_results.tasks.get(_PAGES_TASK), _row(task_results)
    recorded = row.ndcg_at_5 if row is not None else None
    if result is None or recorded is None or result.dataset_revision != pages.revision:
        raise NoEvidence(
            sources.RESULTS,
            what=f"a result of {_PAGES_TASK} on the pages of this version",
            needed_for="reproducing it",
        )
    found: Retrieval = resolver.get("live_ranking")
    return Reproduction(found.ndcg_at_5, recorded)


@evidence
def live_merge_effect(
    live_session: "LiveSession", live_load: LoadReport, options: AuditOptions, resolver: Resolver
) -> MergeEffect:
    """Scores before and after merging."""
    _require_finite(live_session, live_load)
    _require_adapter(live_session)
    if options.merged is None:
        with _room():
            return live_session.merge_effect(None)
    from colintern.evaluation.checkpoint import CheckpointError, checkpoint_of  # noqa: PLC0415
    from colintern.live.source import live_source  # noqa: PLC0415 - imports torch

    family = live_session.checkpoint.family.name
    merged = Resolver(
        resolver.providers,
        {
            "subject": Subject(options.merged, "merged"),
            "options": replace(options, base=None, merged=None, family=family),
        },
    )
    try:
        with _room():
            return live_session.merge_effect(live_source(checkpoint_of(merged), merged))
    except CheckpointError as error:
        raise NoEvidence(
            sources.RUNNABLE_MERGED, detail=printable(error), needed_for="scores after the merge"
        ) from error


@evidence
def live_spread(live_session: "LiveSession", live_load: LoadReport) -> Spread:
    """How different pages are for the model."""
    _require_finite(live_session, live_load)
    return live_session.spread()


@contextmanager
def _room() -> Iterator[None]:
    """What this machine has no room for is not the checkpoint's fault."""
    from colintern.live.bounds import TooLargeError  # noqa: PLC0415 - imports torch

    try:
        yield
    except TooLargeError as error:
        raise _no_room(error) from error


def _no_room(error: "TooLargeError") -> NoEvidence:
    return NoEvidence(sources.MEMORY, what=str(error), needed_for=_RUNNING)


def _row(results: TaskResults) -> TaskRow | None:
    rows = (row for row in result_table(results).tasks if row.name == _PAGES_TASK)
    return next(rows, None)


def _pages(options: AuditOptions) -> "LivePages":
    from colintern.live.pages import bundled_pages, pages_in  # noqa: PLC0415

    return bundled_pages() if options.live_pages is None else pages_in(options.live_pages)


def _require(report: LoadReport) -> None:
    if not report.ok:
        raise NoEvidence(
            sources.RUNNABLE, detail="its weights were not all loaded", needed_for=_RUNNING
        )


def _require_finite(session: "LiveSession", report: LoadReport) -> None:
    _require(report)
    if not session.is_finite:
        raise NoEvidence(
            sources.MODEL_IN_MEMORY,
            what="embeddings that are numbers",
            detail="they are not finite",
            needed_for="comparing them",
        )


def _require_adapter(session: "LiveSession") -> None:
    if not session.is_adapter:
        raise NoEvidence(
            sources.ADAPTER_WEIGHTS,
            detail="this is a whole model",
            needed_for="the effect of the adapter",
            hint="",
        )
