"""Evidence of the running model, for `--live`. torch is imported only when such evidence is asked.

Everything is made from one `live_session`, so the model is loaded once.
"""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

from colintern.artifacts.printable import printable
from colintern.artifacts.run_manifest import RunManifest
from colintern.diagnostics.live_measurements import (
    BatchEffect,
    LoadReport,
    Retrieval,
    Spread,
    VectorNorms,
)
from pytest_colintern.evidence_registry import Resolver, evidence
from pytest_colintern.subject import AuditOptions
from pytest_colintern.verdict import NoEvidence

if TYPE_CHECKING:
    from colintern.evaluation.live_pages import LivePages
    from colintern.evaluation.live_session import LiveSession

_NEEDED: Final = ("torch", "transformers", "peft", "colpali_engine")
_GENERATED: Final = "colintern/pages"
"""The training set in the manifest of a model that was trained on the generated pages."""


@evidence
def live_session(options: AuditOptions, resolver: Resolver) -> "LiveSession":
    """The model, loaded as transformers and PEFT load it, with pages to show it."""
    if not options.live:
        raise NoEvidence("--live", needed_for="running the model")
    lacking = [name for name in _NEEDED if find_spec(name) is None]
    if lacking:
        raise NoEvidence(
            f"the extra `train` ({lacking[0]} is missing)", needed_for="running the model"
        )
    from colintern.evaluation.checkpoint import CheckpointError, checkpoint_of  # noqa: PLC0415
    from colintern.evaluation.live_session import LiveSession  # noqa: PLC0415 - imports torch

    try:
        return LiveSession(checkpoint_of(resolver), _pages(options))
    except (CheckpointError, OSError, ValueError) as error:
        raise NoEvidence(
            f"a model that can be run: {printable(error, limit=300)}", needed_for="running it"
        ) from error


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
    _require(live_load)
    return live_session.repeat_difference()


@evidence
def live_batch_effect(live_session: "LiveSession", live_load: LoadReport) -> BatchEffect:
    """The same pages and queries alone and together."""
    _require(live_load)
    return live_session.batch_effect()


@evidence
def live_adapter_effect(live_session: "LiveSession", live_load: LoadReport) -> float:
    """Largest change of a vector by the adapter."""
    _require(live_load)
    _require_adapter(live_session)
    return live_session.adapter_effect()


@evidence
def live_load_difference(live_session: "LiveSession", live_load: LoadReport) -> float:
    """Largest difference of the projection between two loads."""
    _require(live_load)
    return live_session.load_difference()


@evidence
def live_retrieval(
    live_session: "LiveSession", live_load: LoadReport, manifest: RunManifest | None
) -> Retrieval:
    """NDCG@5 on pages that the model should know."""
    _require(live_load)
    pages = live_session.pages
    names = {dataset.name for dataset in (manifest.datasets or ())} if manifest else set()
    if pages.generated and _GENERATED not in names:
        raise NoEvidence(
            "training on the generated pages (--live-pages DIR gives your own)",
            needed_for="whether it finds its pages",
        )
    if not pages.relevant:
        raise NoEvidence("queries with their answers", needed_for="whether it finds its pages")
    return live_session.retrieval()


@evidence
def live_merge_change(
    live_session: "LiveSession", live_load: LoadReport, options: AuditOptions
) -> float:
    """Largest relative change of a score by merging."""
    _require(live_load)
    _require_adapter(live_session)
    if options.merged is None:
        return live_session.merge_change(None)
    from colintern.evaluation.checkpoint import CheckpointError, find_checkpoint  # noqa: PLC0415

    try:
        family = live_session.checkpoint.family.name
        return live_session.merge_change(find_checkpoint(str(options.merged), family=family))
    except CheckpointError as error:
        raise NoEvidence(
            f"a merged model that can be run: {printable(error, limit=300)}",
            needed_for="the scores after the merge",
        ) from error


@evidence
def live_spread(live_session: "LiveSession", live_load: LoadReport) -> Spread:
    """How different pages are for the model."""
    _require(live_load)
    return live_session.spread()


def _pages(options: AuditOptions) -> "LivePages":
    from colintern.evaluation.live_pages import bundled_pages, pages_in  # noqa: PLC0415

    return bundled_pages() if options.live_pages is None else pages_in(options.live_pages)


def _require(report: LoadReport) -> None:
    if report.error is not None:
        raise NoEvidence("a model that can be loaded (LIV006)", needed_for="running it")


def _require_adapter(session: "LiveSession") -> None:
    if not session.is_adapter:
        raise NoEvidence("an adapter (this is a whole model)", needed_for="what the adapter does")
