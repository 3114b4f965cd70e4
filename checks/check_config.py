"""CFG: how the run was configured, judged by the guide and by what is known of each loss."""

from colintern.artifacts.adapter_config import AdapterConfig
from colintern.artifacts.printable import printable
from colintern.artifacts.processor_config import ProcessorConfig
from colintern.artifacts.run_layout import RUN_MANIFEST, TRAINING_ARGS
from colintern.artifacts.run_manifest import RunManifest
from colintern.diagnostics.batch_size import BatchSize
from colintern.diagnostics.learning_rate_target import LearningRateTarget
from colintern.diagnostics.loss_kind import LossKind
from colintern.diagnostics.run_config import RunConfig
from colintern.diagnostics.training_mode import (
    gpu_is_modern,
    planned_warmup,
    ran_on_gpu,
    reentrant_checkpointing,
    training_precision,
)
from colintern.diagnostics.visual_tokens import visual_tokens
from colintern.families import Family
from colintern.guide import Guide
from pytest_colintern import ERROR, INFO, WARNING, NoEvidence, Verdict, rule
from pytest_colintern.recorded import needed

MANIFEST_OR_ARGUMENTS = f"{RUN_MANIFEST} or {TRAINING_ARGS}"


@rule(
    "CFG001",
    "too-few-epochs",
    severity=WARNING,
    up_to=ERROR,
    explains={"LOG003", "LOG004", "RES001", "RES002"},
)
def check_epochs(run_config: RunConfig, family: Family, guide: Guide) -> Verdict:
    """The run was asked for fewer epochs than its family needs.

    Why: the guide trains ColIntern3.5 for five epochs and calls this critical: one epoch ends at
        NDCG@5 0.11. Another family has its own figure, and falls below it by a warning at most.
    Evidence: `num_train_epochs` and `max_steps` of the run manifest, training_args.bin,
        trainer_state.json or the model card. The log rounds epochs up; its steps tell the rest.
    Fix: set `num_train_epochs=5`, leave `max_steps` unset, and train again.
    Source: the guide, debugging checklist; other families: the recipe named in their table entry.
    """
    epochs = needed(run_config.planned_epochs, MANIFEST_OR_ARGUMENTS, needed_for="the epochs")
    least = guide.min_epochs if family.follows_guide else family.min_epochs
    if least is None:
        raise NoEvidence(f"a published recipe of {family.name}", needed_for="its epochs")
    return Verdict(
        epochs.value >= least,
        observed=f"planned epochs: {epochs.value:.3g}",
        expected=f"at least {least:g} epochs for {family.name}",
        where=epochs.where,
        severity=ERROR if family.follows_guide else WARNING,
    )


@rule(
    "CFG002",
    "small-effective-batch",
    severity=WARNING,
    up_to=ERROR,
    explains={"LOG002", "LOG005", "LOG010", "RES001", "RES002"},
)
def check_effective_batch(batch: BatchSize, family: Family, guide: Guide) -> Verdict:
    """An optimiser step sees fewer queries than the guide requires.

    Why: the guide requires an effective batch of 64 for stable gradients: per-device batch x
        accumulation x devices. At batch 2 its run ends at NDCG@5 0.11. The figure is that of
        ColIntern3.5; published runs of other families used 32, so there it is a warning.
    Evidence: the run manifest; else batch, accumulation and number of processes of
        training_args.bin and trainer_state.json; else samples a step, with its rounding error.
        Inside that error nothing is said.
    Fix: raise `per_device_train_batch_size`, then `gradient_accumulation_steps`, to 64 together.
    Source: the guide, debugging checklist; failure-modes H02.
    """
    least = guide.min_effective_batch_size
    is_enough = batch.reaches(least)
    if is_enough is None:
        raise NoEvidence(
            f"{MANIFEST_OR_ARGUMENTS} with accumulation and processes",
            needed_for=f"the effective batch, which is {batch}",
        )
    return Verdict(
        is_enough,
        observed=f"effective batch {batch}",
        expected=f"at least {least}",
        where=batch.source,
        severity=ERROR if family.follows_guide else WARNING,
    )


@rule(
    "CFG003",
    "learning-rate-off-target",
    severity=WARNING,
    up_to=ERROR,
    explains={
        *("LOG001", "LOG003", "LOG004", "LOG005", "LOG006", "LOG010"),
        *("RES001", "RES002"),
    },
)
def check_learning_rate(
    run_config: RunConfig, learning_rate_target: LearningRateTarget, family: Family, guide: Guide
) -> Verdict:
    """The peak learning rate is far from what works for this family and size.

    Why: too high a rate diverges or collapses, too low a rate leaves the adapter near its start.
        The guide gives several figures for one size; all of them are accepted, and a factor of two
        around them. Beyond a factor of ten it is an error for ColIntern3.5.
    Evidence: `learning_rate` of the run manifest, training_args.bin or the model card; the
        number of parameters from the base's configuration or its name.
    Fix: train with a rate inside the interval for the size of the base.
    Source: the guide, learning rate scaling and selection; failure-modes F09.
    """
    rate = needed(run_config.learning_rate, MANIFEST_OR_ARGUMENTS, needed_for="the learning rate")
    factor = learning_rate_target.factor_off(rate.value)
    is_error = family.follows_guide and factor > guide.learning_rate_error_factor
    return Verdict(
        factor <= guide.learning_rate_warning_factor,
        observed=f"learning rate {rate.value:g}"
        + (f", a factor {factor:.3g} outside" if factor > 1 else ""),
        expected=str(learning_rate_target),
        where=rate.where,
        severity=ERROR if is_error else WARNING,
    )


@rule(
    "CFG004",
    "few-in-batch-negatives",
    severity=WARNING,
    up_to=ERROR,
    explains={"LOG002", "LOG004", "LOG009", "RES001", "RES002"},
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
    Source: the guide, batch of 16 per device; failure-modes E01, F01; our bundled runs.
    """
    candidates = retrieval_loss.candidates or batch.candidates
    least = batch.least_candidates or 1
    if candidates is None and least <= guide.min_in_batch_negatives:
        raise NoEvidence("the number of processes", needed_for="the in-batch negatives")
    negatives = (candidates or least) - 1
    return Verdict(
        negatives >= guide.min_in_batch_negatives,
        observed=f"negatives a query: {negatives:,}" + ("" if candidates else " or more"),
        expected=f"at least {guide.min_in_batch_negatives}",
        where=batch.candidates_source,
        severity=ERROR if negatives == 0 and retrieval_loss.only_in_batch else WARNING,
    )


@rule(
    "CFG005",
    "warmup-off",
    severity=WARNING,
    up_to=ERROR,
    explains={"LOG006", "LOG010", "LOG012"},
)
def check_warmup(run_config: RunConfig, family: Family, guide: Guide) -> Verdict:
    """The warm-up is missing, too short, or takes a third of the run.

    Why: a fresh adapter on a random projection takes large first steps; without warm-up the loss
        jumps. A warm-up of a third of the run or more hardly trains at its learning rate.
    Evidence: `warmup_steps` (whole, or a fraction in transformers 5) or `warmup_ratio`, and the
        planned steps and epochs. A length that is not recorded is not held against the run.
    Fix: warm up for 10 % of the first epoch, at least 100 steps, and less than a third of the run.
    Source: the guide, internal parameters and optimiser; failure-modes F08.
    """
    warmup = planned_warmup(run_config)
    if warmup is None:
        raise NoEvidence(MANIFEST_OR_ARGUMENTS, needed_for=f"the warm-up of {family.name}")
    is_short = warmup.is_shorter(guide.min_warmup_steps, guide.min_warmup_epoch_ratio)
    if is_short is None:
        raise NoEvidence("trainer_state.json", needed_for=f"an epoch's share of {warmup}")
    is_long = warmup.of_run is not None and warmup.of_run >= guide.max_warmup_run_ratio
    return Verdict(
        not is_short and not is_long,
        observed=f"warm-up of {warmup}",
        expected=f"{guide.min_warmup_steps} steps or {guide.min_warmup_epoch_ratio:.0%} of an"
        f" epoch, below {guide.max_warmup_run_ratio:.0%} of the run",
        where=warmup.steps.where,
        severity=ERROR if is_long else WARNING,
    )


@rule(
    "CFG006",
    "not-bf16",
    severity=WARNING,
    up_to=ERROR,
    explains={"LOG001", "LOG011"},
)
def check_precision(run_config: RunConfig, family: Family) -> Verdict:
    """The run trained in float16, or in float32 on a GPU that has bfloat16.

    Why: the backbones of these retrievers overflow in float16: replications ended in NaN or six
        points lower. float32 doubles memory and halves the batch that fits.
    Evidence: `bf16` and `fp16` of the arguments, the recorded type of the base weights and the GPU.
        Without mixed precision and without a recorded type nothing is said.
    Fix: set `bf16=True` and load the base in bfloat16.
    Source: the guide, debugging checklist; failure-modes G01.
    """
    precision = needed(
        training_precision(run_config), RUN_MANIFEST, needed_for=f"the precision of {family.name}"
    )
    if precision.value == "fp32" and gpu_is_modern(run_config) is None:
        raise NoEvidence(f"the GPU in {RUN_MANIFEST}", needed_for="whether it has bfloat16")
    is_slow = precision.value == "fp32" and bool(gpu_is_modern(run_config))
    return Verdict(
        precision.value != "fp16" and not is_slow,
        observed=f"trained in {precision.value}",
        expected="bf16 where the hardware has it, never fp16",
        where=precision.where,
        severity=ERROR if precision.value == "fp16" else WARNING,
    )


@rule("CFG007", "flash-attention-off", severity=WARNING)
def check_attention(run_config: RunConfig) -> Verdict:
    """The run did not use flash attention on a GPU that supports it.

    Why: a page is up to thousands of tokens; without flash attention memory and time grow with
        their square, and a smaller batch fits.
    Evidence: `hardware` of the run manifest: attention, device and GPU.
    Fix: install flash-attn and load the model with `attn_implementation="flash_attention_2"`.
    Source: the guide, debugging checklist; failure-modes K05.
    """
    attention = needed(run_config.attention, RUN_MANIFEST, needed_for="the attention in use")
    supported = gpu_is_modern(run_config)
    if supported is None:
        raise NoEvidence(f"the GPU in {RUN_MANIFEST}", needed_for="whether it has flash attention")
    gpu = run_config.gpu or run_config.device
    return Verdict(
        "flash" in attention.value or not supported,
        observed=printable(f"{attention.value} on {gpu.value if gpu else '?'}", limit=100),
        expected="flash attention where the GPU supports it",
        where=attention.where,
    )


@rule("CFG008", "evaluation-off", severity=WARNING)
def check_evaluation_on(retriever_config: RunConfig) -> Verdict:
    """The run never evaluated while it trained.

    Why: without an evaluation loss nobody sees overfitting, and no best checkpoint can be kept.
    Evidence: `eval_strategy` under its new or old name; evaluations in trainer_state.json.
    Fix: set `eval_strategy="steps"` with an `eval_dataset`.
    Source: the guide, poor settings.
    """
    done = retriever_config.num_evaluations
    strategy = retriever_config.eval_strategy
    if strategy is None and not (done and done.value):
        raise NoEvidence(MANIFEST_OR_ARGUMENTS, needed_for="the evaluation strategy")
    count = f"{done.value if done else 0:,} evaluations in the log"
    said = f"eval_strategy {printable(strategy.value, limit=20)}, " if strategy else ""
    return Verdict(
        bool(done and done.value) or (strategy is not None and strategy.value != "no"),
        observed=f"{said}{count}",
        expected="an evaluation strategy other than no",
        where=strategy.where if strategy else None,
    )


@rule("CFG009", "no-dataloader-workers", severity=INFO)
def check_dataloader_workers(retriever_config: RunConfig) -> Verdict:
    """Pages were loaded in the training process while the GPU waited.

    Why: decoding and tiling a page takes longer than a forward pass on a small model.
    Evidence: `dataloader_num_workers` and the recorded device.
    Fix: set `dataloader_num_workers` to two or more for each GPU.
    Source: the guide, poor settings.
    """
    workers = needed(
        retriever_config.dataloader_num_workers, MANIFEST_OR_ARGUMENTS, needed_for="the workers"
    )
    on_gpu = ran_on_gpu(retriever_config)
    if on_gpu is None:
        raise NoEvidence(RUN_MANIFEST, needed_for="whether the run used a GPU")
    return Verdict(
        workers.value > 0 or not on_gpu,
        observed=f"workers: {workers.value}, {'on a GPU' if on_gpu else 'without a GPU'}",
        expected="one or more workers on a GPU",
        where=workers.where,
    )


@rule(
    "CFG010",
    "no-gradient-clipping",
    severity=WARNING,
    explains={"LOG001", "LOG006", "LOG010"},
)
def check_gradient_clipping(retriever_config: RunConfig) -> Verdict:
    """Gradients were not clipped.

    Why: one bad batch then moves the adapter by any amount, and the run may not recover.
    Evidence: `max_grad_norm`: 0 or None is off.
    Fix: set `max_grad_norm=1.0`, the Trainer's default.
    Source: the guide, NaN loss.
    """
    norm = needed(
        retriever_config.max_grad_norm, MANIFEST_OR_ARGUMENTS, needed_for="gradient clipping"
    )
    return Verdict(
        norm.value > 0,
        observed=f"max_grad_norm {norm.value:g}",
        expected="above 0",
        where=norm.where,
    )


@rule("CFG011", "visual-tokens-over-budget", severity=WARNING)
def check_visual_tokens(processor: ProcessorConfig, manifest: RunManifest | None) -> Verdict:
    """The saved processor can make more tokens of a page than the run's budget.

    Why: memory is planned by the budget: one large page beyond it ends the run, or is cut. In the
        guide's code budgets of 512 to 1536 all gave six tiles and a thumbnail, 1,792 tokens.
    Evidence: `max_num_visual_tokens` of the run manifest or the processor; tiles, pixels and tokens
        a tile of the processor's configuration.
    Fix: lower `max_patches` or `max_pixels` until the largest page fits, and save the processor.
    Source: the guide, out of memory; failure-modes D05.
    """
    recorded = manifest.processor if manifest is not None else None
    budget = (recorded and recorded.max_num_visual_tokens) or processor.max_num_visual_tokens
    tokens = visual_tokens(processor)
    if not budget or tokens is None:
        raise NoEvidence(f"max_num_visual_tokens in {RUN_MANIFEST}", needed_for="the token budget")
    return Verdict(
        tokens.most <= budget,
        observed=f"up to {tokens.most:,} tokens a page: {tokens.formula}",
        expected=f"at most {budget:,}",
        where=processor.path,
    )


@rule(
    "CFG012",
    "reentrant-checkpointing",
    severity=WARNING,
    explains={"LOG011", "ADP011", "ADP012"},
)
def check_checkpointing(retriever_config: RunConfig, adapter: AdapterConfig) -> Verdict:
    """Gradient checkpointing re-enters autograd under PEFT, which can cut the gradient.

    Why: inputs of a frozen base need no gradient, so a re-entrant segment gives none to the LoRA
        weights inside it: "None of the inputs have requires_grad=True".
    Evidence: `gradient_checkpointing` and its options. Without an option transformers 4 re-enters
        and transformers 5 does not; an unknown version is no evidence.
    Fix: set `gradient_checkpointing_kwargs={"use_reentrant": False}`.
    Source: torch.utils.checkpoint; transformers, `enable_input_require_grads`; failure-modes F11.
    """
    reentrant = reentrant_checkpointing(retriever_config)
    if reentrant is None:
        raise NoEvidence(MANIFEST_OR_ARGUMENTS, needed_for="how activations are checkpointed")
    checkpointing = retriever_config.gradient_checkpointing
    is_on = checkpointing is not None and checkpointing.value
    how = f"use_reentrant {reentrant}" if is_on else "off"
    return Verdict(
        not reentrant,
        observed=f"gradient checkpointing {how}, with {printable(adapter.peft_type, limit=20)}",
        expected="off, or use_reentrant False",
        where=checkpointing.where if checkpointing else None,
    )


@rule(
    "CFG013",
    "temperature-mismatch",
    severity=ERROR,
    explains={"LOG002", "LOG004", "LOG009", "RES001"},
)
def check_temperature(loss_kind: LossKind, guide: Guide) -> Verdict:
    """The loss's temperature does not fit the scale of its scores.

    Why: scores divided by the query length lie in [0, 1]; at a temperature of 1 a pairwise loss
        cannot fall below 0.31. Unnormalised MaxSim sums of 10 to 30 at a temperature of 0.02 give
        logits near 1,000: the loss is zero or explodes.
    Evidence: `loss` of the run manifest; what it leaves out is the default of the recorded
        colpali-engine: since 0.3.11 `ColbertPairwiseCELoss()` normalises with a temperature of 1.
    Fix: use `temperature=0.02` with normalised scores, or 1 with `normalize_scores=False`.
    Source: colpali-engine pull request 262, issues 371 and 372; failure-modes A05, A06.
    """
    temperature, normalised = loss_kind.temperature, loss_kind.normalize_scores
    if temperature is None or normalised is None or not loss_kind.is_late_interaction:
        raise NoEvidence(f"the loss in {RUN_MANIFEST}", needed_for="its temperature")
    limit = guide.max_normalised_temperature
    return Verdict(
        (temperature < limit) == normalised,
        observed=f"{'normalised' if normalised else 'unnormalised'} scores, T = {temperature:g}",
        expected=f"T below {limit:g} exactly when scores are normalised",
        where=loss_kind.reason,
    )


@rule("CFG014", "gather-skips-micro-steps", severity=WARNING, explains={"RES002"})
def check_gather(batch: BatchSize, retrieval_loss: LossKind) -> Verdict:
    """Pages are gathered across GPUs on one micro-step of each optimiser step only.

    Why: colpali-engine's trainer gathers pages only when gradients are synchronised. With
        accumulation all other micro-steps compare each query within its own GPU's batch.
    Evidence: number of processes and accumulation; `candidates` of the run manifest, when it counts
        the pages of all processes, shows that the run gathered every time.
    Fix: set `gradient_accumulation_steps=1`, or use a trainer that gathers on each micro-step.
    Source: colpali-engine, `ContrastiveTrainer`; failure-modes F02.
    """
    world, steps = batch.world_size, batch.accumulation
    if world is None or steps is None or not retrieval_loss.gathers:
        raise NoEvidence(MANIFEST_OR_ARGUMENTS, needed_for="processes that gather pages")
    return Verdict(
        world.value == 1 or steps.value == 1 or batch.gathers_always,
        observed=f"processes: {world.value}, micro-steps a step: {steps.value}",
        expected="one process, or no accumulation, or pages gathered on each micro-step",
        where=steps.where,
    )


@rule("CFG015", "known-bad-loss-version", severity=ERROR, explains={"LOG002", "LOG006", "RES001"})
def check_loss_version(loss_kind: LossKind) -> Verdict:
    """The loss class has an inverted sign or wrong labels in this version of colpali-engine.

    Why: before 0.3.14 the sigmoid losses pushed the right page away from its query, and
        `BiPairedEncoderLoss` passed no labels.
    Evidence: `loss.class` and `versions` of the run manifest.
    Fix: install colpali-engine 0.3.14 or later and train again.
    Source: colpali-engine pull request 382; failure-modes F07.
    """
    if loss_kind.class_name is None or loss_kind.engine_version is None:
        raise NoEvidence(f"loss class and versions in {RUN_MANIFEST}", needed_for="known faults")
    version = ".".join(str(part) for part in loss_kind.engine_version)
    return Verdict(
        not loss_kind.is_known_bad,
        observed=printable(f"{loss_kind.class_name} of colpali-engine {version}", limit=100),
        expected="a loss without a known fault",
        where=loss_kind.reason,
    )
