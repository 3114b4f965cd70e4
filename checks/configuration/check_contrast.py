"""CFG: what each query was compared with, and by which loss."""

from colintern.artifacts.printable import printable
from colintern.engine.evidence import sources
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, WARNING, NoEvidence, Verdict
from colintern.facts.batch_size import BatchSize
from colintern.facts.loss_kind import LossKind
from colintern.families.family import Family
from colintern.guide import Guide


@rule(
    "CFG002",
    "small-effective-batch",
    severity=WARNING,
    up_to=ERROR,
    explains={"CFG004", "LIV007", "LIV009", "LOG002", "LOG005", "LOG010", "RES001", "RES002"},
    live={"start"},
    setting="Effective batch",
    advice={"larger-batch"},
    satisfies={"larger-batch"},
)
def check_effective_batch(batch: BatchSize, family: Family, guide: Guide) -> Verdict:
    """An optimiser step sees fewer queries than the guide requires.

    Why: the guide requires an effective batch of 64 for stable gradients: per-device batch x
        accumulation x devices. At batch 2 its run ends at NDCG@5 0.11. The figure is that of
        ColIntern3.5; published runs of other families used 32, so there it is a warning.
    Evidence: the run manifest; else batch, accumulation and number of processes of
        training_args.bin and trainer_state.json; else samples a step, with its rounding error.
        Inside that error nothing is said.
    Fix: raise `per_device_train_batch_size`, then `gradient_accumulation_steps`, until their
        product with the devices is the batch expected.
    Source: the guide, debugging checklist; sources H02.
    """
    least = guide.min_effective_batch_size
    is_enough = batch.reaches(least)
    if is_enough is None:
        raise NoEvidence(
            sources.MANIFEST_OR_ARGUMENTS,
            what="accumulation and the number of processes",
            detail=f"known: {batch}",
            needed_for="the effective batch",
        )
    return Verdict(
        is_enough,
        observed=f"effective batch {batch}",
        expected=f"at least {least}",
        where=batch.source,
        severity=ERROR if family.follows_guide else WARNING,
        fix="raise `per_device_train_batch_size`, then `gradient_accumulation_steps`, to "
        f"{least} together.",
    )


@rule(
    "CFG004",
    "few-in-batch-negatives",
    severity=WARNING,
    up_to=ERROR,
    explains={"LIV007", "LIV009", "LOG002", "LOG003", "LOG004", "LOG009", "RES001", "RES002"},
    live={"start"},
    setting="In-batch negatives a query",
    advice={"larger-batch"},
    satisfies={"larger-batch"},
)
def check_negatives(batch: BatchSize, retrieval_loss: LossKind, guide: Guide) -> Verdict:
    """Each query is compared with few other pages.

    Why: an in-batch loss learns from the other pages of the batch, per-device batch x processes
        whose pages are gathered. Accumulation averages gradients and adds no negatives. With a
        batch of one there is no negative: the loss is zero and nothing is learned. At batch two the
        bundled run poor-settings stays at ln 2; with 64 its recipe falls to 8 % of chance.
    Evidence: `candidates` of the run manifest, which counts cached batches; else the batch of one
        process and the number of processes.
    Fix: raise `per_device_train_batch_size`; where it does not fit, cache the batch's embeddings.
    Source: the guide, batch of 16 per device; sources E01, F01, M15.
    """
    candidates = retrieval_loss.candidates or batch.candidates
    least = batch.least_candidates or 1
    if candidates is None and least <= guide.min_in_batch_negatives:
        raise NoEvidence(
            sources.MANIFEST_OR_ARGUMENTS,
            what="the number of processes",
            needed_for="the in-batch negatives",
        )
    negatives = (candidates or least) - 1
    return Verdict(
        negatives >= guide.min_in_batch_negatives,
        observed=f"negatives a query: {negatives:,}" + ("" if candidates else " or more"),
        expected=f"at least {guide.min_in_batch_negatives}",
        where=batch.candidates_source,
        severity=ERROR if negatives == 0 and retrieval_loss.only_in_batch else WARNING,
    )


@rule(
    "CFG013",
    "temperature-mismatch",
    severity=ERROR,
    explains={
        "LIV007",
        "LIV009",
        "LOG001",
        "LOG002",
        "LOG004",
        "LOG006",
        "LOG009",
        "LOG010",
        "RES001",
        "RES002",
    },
    live={"start"},
    setting="Loss",
)
def check_temperature(loss_kind: LossKind, guide: Guide) -> Verdict:
    """The loss's temperature does not fit the scale of its scores.

    Why: scores divided by the query length lie in [0, 1]; at a temperature of 1 a pairwise loss
        cannot fall below 0.31. Unnormalised MaxSim sums of 10 to 30 at a temperature of 0.02 give
        logits near 1,000: the loss is zero or explodes.
    Evidence: `loss` of the run manifest; what it leaves out is the default of the recorded
        colpali-engine: since 0.3.11 `ColbertPairwiseCELoss()` normalises with a temperature of 1.
    Fix: use the guide's `temperature` with normalised scores, or 1 with `normalize_scores=False`.
    Source: colpali-engine pull request 262, issues 371 and 372; sources A05, A06.
    """
    temperature, normalised = loss_kind.temperature, loss_kind.normalize_scores
    if temperature is None or normalised is None or not loss_kind.is_late_interaction:
        raise NoEvidence(sources.MANIFEST, what="the loss", needed_for="its temperature")
    limit = guide.max_normalised_temperature
    return Verdict(
        (temperature < limit) == normalised,
        observed=f"{'normalised' if normalised else 'unnormalised'} scores, T = {temperature:g}",
        expected=f"T below {limit:g} exactly when scores are normalised",
        where=loss_kind.reason,
        fix=f"use `temperature={guide.normalised_temperature:g}` with normalised scores, or 1 with "
        "`normalize_scores=False`.",
    )


@rule(
    "CFG014",
    "gather-skips-micro-steps",
    severity=WARNING,
    explains={"RES002"},
    live={"start"},
    setting="In-batch negatives a query",
)
def check_gather(batch: BatchSize, retrieval_loss: LossKind) -> Verdict:
    """Pages are gathered across GPUs on one micro-step of each optimiser step only.

    Why: colpali-engine's trainer gathers pages only when gradients are synchronised. With
        accumulation all other micro-steps compare each query within its own GPU's batch.
    Evidence: number of processes and accumulation; `candidates` of the run manifest, when it counts
        the pages of all processes, shows that the run gathered every time.
    Fix: set `gradient_accumulation_steps=1`, or use a trainer that gathers on each micro-step.
    Source: colpali-engine, `ContrastiveTrainer`; sources F02.
    """
    world, steps = batch.world_size, batch.accumulation
    if world is None or steps is None or not retrieval_loss.gathers:
        raise NoEvidence(
            sources.MANIFEST_OR_ARGUMENTS,
            what="accumulation and processes that gather pages",
            needed_for="telling when they do",
        )
    return Verdict(
        world.value == 1 or steps.value == 1 or batch.gathers_always,
        observed=f"processes: {world.value}, micro-steps a step: {steps.value}",
        expected="one process, or no accumulation, or pages gathered on each micro-step",
        where=steps.where,
    )


@rule(
    "CFG015",
    "known-bad-loss-version",
    severity=ERROR,
    explains={"LIV007", "LIV009", "LOG002", "LOG006", "RES001", "RES005"},
    live={"start"},
    setting="Loss",
)
def check_loss_version(loss_kind: LossKind) -> Verdict:
    """The loss class has an inverted sign or wrong labels in this version of colpali-engine.

    Why: before 0.3.14 the sigmoid losses pushed the right page away from its query, and
        `BiPairedEncoderLoss` passed no labels.
    Evidence: `loss.class` and `versions` of the run manifest.
    Fix: install colpali-engine 0.3.14 or later and train again.
    Source: colpali-engine pull request 382; sources F07.
    """
    if loss_kind.class_name is None or loss_kind.engine_version is None:
        raise NoEvidence(
            sources.MANIFEST,
            what="the loss class and the version of colpali-engine",
            needed_for="looking up known faults",
        )
    version = ".".join(str(part) for part in loss_kind.engine_version)
    return Verdict(
        not loss_kind.is_known_bad,
        observed=printable(f"{loss_kind.class_name} of colpali-engine {version}", limit=100),
        expected="a loss without a known fault",
        where=loss_kind.reason,
    )
