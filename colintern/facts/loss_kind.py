"""What kind of loss a run minimised, and how many pages each query was compared with."""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from colintern.artifacts.model.model_card import ModelCard
from colintern.artifacts.run.layout import MODEL_CARD, RUN_MANIFEST
from colintern.artifacts.run.manifest import LossRecord, RunManifest
from colintern.facts.batch_size import BatchSize
from colintern.facts.loss_classes import GATHERED, LOCAL, OTHER, PAIRWISE, has_batch_pages_only
from colintern.facts.versions import release

Kind = Literal["contrastive", "pairwise", "other", "unknown"]

_DEFAULTS: Final = {
    "ColbertLoss": 0.02,
    "ColbertNegativeCELoss": 0.02,
    "ColbertPairwiseCELoss": 1.0,
    "ColbertPairwiseNegativeCELoss": 0.02,
    "ColbertSigmoidLoss": 0.02,
}
"""Default temperatures of colpali-engine 0.3.11 and later, where scores are normalised by default;
`loss/late_interaction_losses.py` at 0.3.18; sources A05."""

_INVERTED: Final = frozenset({"ColbertSigmoidLoss", "BiSigmoidLoss", "BiPairedEncoderLoss"})
_MENDED: Final = (0, 3, 14)
"""colpali-engine's release that mended them; sources F07."""

_DEFAULTS_SINCE: Final = (0, 3, 11)


class LossKind(Struct, frozen=True, kw_only=True):
    """The training loss, as far as it is recorded or follows from the family."""

    kind: Kind = "unknown"
    """`contrastive`: each query against all pages of a batch, chance is ln(candidates).
    `pairwise`: against one negative at a time, chance is ln 2. `other`: neither."""
    reason: str = "nothing names the loss"
    """What the kind was told from."""
    class_name: str | None = None
    """The loss class, where recorded."""
    candidates: int | None = None
    """Pages that each query is compared with, its own included; None when it cannot be told."""
    temperature: float | None = None
    """Divisor of the scores: recorded, or the default of the recorded engine version."""
    normalize_scores: bool | None = None
    """Whether scores are divided by the number of query tokens, likewise."""
    engine_version: tuple[int, ...] | None = None
    """colpali-engine's release, as (0, 3, 14)."""

    @property
    def is_late_interaction(self) -> bool:
        """Whether scores are MaxSim sums; bi-encoder losses score one vector a page."""
        return self.class_name is None or not self.class_name.startswith("Bi")

    @property
    def gathers(self) -> bool:
        """Whether the loss is one that colpali-engine's trainer gathers pages for."""
        return self.class_name is None or self.class_name in GATHERED | PAIRWISE

    @property
    def only_in_batch(self) -> bool:
        """Whether negatives come from the batch alone: a batch of one then has none."""
        return self.class_name is None or has_batch_pages_only(self.class_name)

    @property
    def is_known_bad(self) -> bool:
        """Whether this class trained the wrong way in this version."""
        engine = self.engine_version
        return engine is not None and engine < _MENDED and self.class_name in _INVERTED


def told_loss_kind(
    manifest: RunManifest | None,
    card: ModelCard | None,
    batch: BatchSize | None,
    *,
    family: str | None = None,
) -> LossKind:
    """Tell the loss from the manifest, else the model card, else the retriever family's habit."""
    if manifest is not None and manifest.loss is not None and manifest.loss.class_name:
        return _of_manifest(manifest, manifest.loss, manifest.loss.class_name, batch)
    if card is not None and card.losses:
        return _of_card(card.losses, batch)
    if family is not None:
        return LossKind(
            kind="contrastive",
            reason=f"the usual loss of {family}",
            candidates=_candidates("ColbertLoss", batch),
        )
    return LossKind()


def _of_manifest(
    manifest: RunManifest, loss: LossRecord, class_path: str, batch: BatchSize | None
) -> LossKind:
    name = class_path.rpartition(".")[2]
    engine = release((manifest.versions or {}).get("colpali-engine"))
    temperature, normalised = _defaults(name, engine)
    kind = _kind_of(name)
    return LossKind(
        # A loss class of one's own that counts its candidates compares within a batch.
        kind="contrastive" if kind == "unknown" and manifest.candidates else kind,
        reason=f"{RUN_MANIFEST}: loss.class",
        class_name=name,
        candidates=_candidates(name, batch),
        temperature=temperature if loss.temperature is None else loss.temperature,
        normalize_scores=normalised if loss.normalize_scores is None else loss.normalize_scores,
        engine_version=engine,
    )


def _of_card(losses: Iterable[str], batch: BatchSize | None) -> LossKind:
    """Of several losses (one a dataset, or a wrapper and its own) only agreement is a kind."""
    names = tuple(losses)
    kinds = {_kind_of(name) for name in names}
    kind: Kind = kinds.pop() if len(kinds) == 1 else "other"
    return LossKind(
        kind=kind,
        reason=f"{MODEL_CARD}: Loss",
        class_name=names[0],
        candidates=_candidates(names[0], batch) if kind == "contrastive" else None,
    )


def _kind_of(class_name: str) -> Kind:
    if class_name in LOCAL or class_name in GATHERED:
        return "contrastive"
    if class_name in PAIRWISE:
        return "pairwise"
    return "other" if class_name in OTHER else "unknown"


def _candidates(class_name: str, batch: BatchSize | None) -> int | None:
    """Pages of a batch; unknown where some forward passes of a step gather and others do not."""
    if batch is None:
        return None
    if class_name in LOCAL:
        return batch.least_candidates
    worlds = batch.world_size.value if batch.world_size else 1
    steps = batch.accumulation.value if batch.accumulation else 1
    is_recorded = batch.recorded_candidates is not None
    return batch.candidates if is_recorded or worlds == 1 or steps == 1 else None


def _defaults(class_name: str, engine: tuple[int, ...] | None) -> tuple[float | None, bool | None]:
    if engine is None or class_name not in _DEFAULTS:
        return None, None
    if engine >= _DEFAULTS_SINCE:
        return _DEFAULTS[class_name], True
    return (1.0, False) if class_name == "ColbertPairwiseCELoss" else (None, None)
