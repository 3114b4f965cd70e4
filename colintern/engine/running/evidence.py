"""Evidence of a run that still trains: what a whole run's measures cannot tell yet."""

from typing import Final

from msgspec.structs import replace

from colintern.artifacts.logs.resource_log import ResourceLog
from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.artifacts.run.layout import RunLayout
from colintern.diagnostics.adapter.trained_parts import TrainedParts
from colintern.diagnostics.log.contrastive_loss import MIN_CANDIDATES, Chance
from colintern.diagnostics.log.early_course import EarlyGradients, early_chance, early_gradients
from colintern.diagnostics.log.gradient_norms import GradientNorms, Instability
from colintern.diagnostics.log.loss_trajectory import WHOLE_ROWS
from colintern.diagnostics.resource_use import ResourceUse
from colintern.diagnostics.resource_use import resource_use as measured_use
from colintern.engine.evidence import log, sources
from colintern.engine.resolver import Resolver, evidence
from colintern.engine.verdict import NoEvidence
from colintern.facts.batch_size import BatchSize
from colintern.facts.loss_kind import LossKind
from colintern.facts.run_config import RunConfig
from colintern.families.family import Family
from colintern.guide import Guide

MIN_LIVE_ROWS: Final = 10
"""Rows of the resource log before its means are judged: kernels are compiled and pages read from
disk for the first time in the first ones (own choice, not measured)."""


@evidence
def layout() -> RunLayout:
    """No file is read: everything is in memory."""
    raise NoEvidence(
        sources.RUN_FILES, detail="the run is still training", needed_for="judging what it saved"
    )


@evidence
def trained_parts() -> TrainedParts:
    """The model itself, where the run hands it over."""
    raise NoEvidence(sources.MODEL_IN_MEMORY, needed_for="the parts in training")


@evidence
def chance(
    training_log: TrainerState,
    resolver: Resolver,
    loss_kind: LossKind | None,
    run_config: RunConfig | None,
    guide: Guide,
) -> Chance:
    """Where the loss would be without knowledge: by the audit's measure where that can tell."""
    try:
        return log.chance(training_log, resolver, loss_kind, guide)
    except NoEvidence:
        if training_log.is_reinforcement or loss_kind is None or loss_kind.kind != "contrastive":
            raise
        rate = run_config.learning_rate if run_config is not None else None
        peak = rate.value if rate is not None else None
        candidates = loss_kind.candidates or 0
        if candidates >= MIN_CANDIDATES:
            early = early_chance(training_log, candidates, peak=peak)
            if early is not None:
                return early
        raise


@evidence
def instability(
    training_log: TrainerState,
    gradient_norm: GradientNorms | None,
    batch: BatchSize | None,
    family: Family | None,
    guide: Guide,
) -> Instability:
    """Spikes of the gradient or of the loss; in the first rows, gradients that explode."""
    first = early_gradients(training_log.training)
    follows = family is not None and family.follows_guide
    normal = guide.normal_grad_norm if follows else None
    spike = guide.max_grad_norm_spike
    if len(training_log.training) >= WHOLE_ROWS or training_log.is_reinforcement or first is None:
        found = log.instability(training_log, gradient_norm, batch, guide)
    else:
        found = Instability(gradient_norm, (), spike, early=_explosion(first, spike, normal))
    if first is None or found.early or found.lasting:
        return found
    above = _explosion(replace(first, growth=None), spike, normal)
    return replace(found, early=above)


@evidence
def resource_use(resource_log: ResourceLog) -> ResourceUse:
    """Peaks from the first row on; means when the start no longer counts for much of them."""
    found = measured_use(resource_log)
    if len(resource_log.rows) >= MIN_LIVE_ROWS:
        return found
    return replace(found, gpu_utilisation=None, step_seconds=None)


def _explosion(found: EarlyGradients, spike: float, normal: float | None) -> str | None:
    """Say how gradients explode, or None; the guide's `normal` is that of its own models."""
    if found.growth is not None and found.growth > spike:
        return f"grad_norm {found.recent:,.3g}, {found.growth:,.0f}x that of the first rows"
    if normal is not None and found.recent > spike * normal:
        return f"grad_norm {found.recent:,.3g}, the guide's normal is up to {normal:g}"
    return None
