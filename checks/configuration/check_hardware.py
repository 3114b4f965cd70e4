"""CFG: how the run used its hardware: precision, attention, memory and workers."""

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.model.processor_config import ProcessorConfig
from colintern.artifacts.printable import printable
from colintern.artifacts.results.evaluation_record import EVALUATION_RECORD, EvaluationRecord
from colintern.artifacts.run.manifest import RunManifest
from colintern.diagnostics.processor.resolution import visual_tokens
from colintern.engine.evidence import sources
from colintern.engine.recorded import needed
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, INFO, WARNING, NoEvidence, Verdict
from colintern.facts.run_config import RunConfig
from colintern.facts.training_mode import (
    gpu_is_modern,
    precision_fault,
    precision_text,
    ran_on_gpu,
    reentrant_checkpointing,
    training_precision,
)
from colintern.families.family import Family

_IN_TRAINING = ("LIV001", "LOG001", "LOG011")
_SYMPTOMS = {
    "overflow": (*_IN_TRAINING, "RES001", "RES002", "RES005"),
    "slow": (),
    "evaluation": ("RES001", "RES002", "RES005"),
}
"""What a fault of precision causes: float32 costs time, not quality."""


@rule(
    "CFG006",
    "not-bf16",
    severity=WARNING,
    up_to=ERROR,
    explains={"LIV001", "LOG001", "LOG011", "RES001", "RES002", "RES005"},
    live={"start"},
    setting="Precision",
    advice={"bf16"},
    satisfies={"bf16"},
)
def check_precision(
    run_config: RunConfig, family: Family, evaluation_record: EvaluationRecord | None
) -> Verdict:
    """The run trained or was evaluated in float16, or trained in float32 on a GPU with bfloat16.

    Why: the backbones of these retrievers overflow in float16: replications ended in NaN or six
        points lower. float32 doubles memory and halves the batch that fits. An evaluation in
        float16 of what was trained in bf16 or float32 is a warning: values that it overflows are
        lost in the scores only. One in bf16 is the rule.
    Evidence: `bf16` and `fp16` of the arguments, the recorded type of the base weights and the GPU;
        `dtype` in colintern_eval.json. Without mixed precision and without a recorded type nothing
        is said.
    Fix: set `bf16=True` and load the base in bfloat16, in training and in evaluation.
    Source: the guide, debugging checklist; sources G01.
    """
    precision = needed(
        training_precision(run_config),
        sources.MANIFEST,
        "`bf16`, `fp16` and the type of the base",
        needed_for=f"the precision of {family.name}",
    )
    if precision.value == "fp32" and gpu_is_modern(run_config) is None:
        raise NoEvidence(
            sources.MANIFEST, what="the GPU", needed_for="telling whether it has bfloat16"
        )
    evaluated = evaluation_record.dtype if evaluation_record else None
    fault = precision_fault(run_config, precision.value, evaluated)
    return Verdict(
        fault is None,
        observed=precision_text(precision.value, evaluated),
        expected="bf16 where the hardware has it, never fp16",
        where=EVALUATION_RECORD if fault == "evaluation" else precision.where,
        severity=ERROR if fault == "overflow" else WARNING,
        explains=_SYMPTOMS[fault] if fault else None,
    )


@rule(
    "CFG007",
    "flash-attention-off",
    severity=WARNING,
    live={"start"},
    setting="Attention",
    advice={"flash-attention"},
    satisfies={"flash-attention"},
)
def check_attention(run_config: RunConfig) -> Verdict:
    """The run did not use flash attention on a GPU that supports it.

    Why: a page is up to thousands of tokens; without flash attention memory and time grow with
        their square, and a smaller batch fits.
    Evidence: `hardware` of the run manifest: attention, device and GPU.
    Fix: install flash-attn and load the model with `attn_implementation="flash_attention_2"`.
    Source: the guide, debugging checklist; sources K05.
    """
    attention = needed(
        run_config.attention,
        sources.MANIFEST,
        "the attention implementation",
        needed_for="comparing it with the GPU",
    )
    supported = gpu_is_modern(run_config)
    if supported is None:
        raise NoEvidence(
            sources.MANIFEST, what="the GPU", needed_for="telling whether it has flash attention"
        )
    gpu = run_config.gpu or run_config.device
    return Verdict(
        "flash" in attention.value or not supported,
        observed=printable(f"{attention.value} on {gpu.value if gpu else '?'}", limit=100),
        expected="flash attention where the GPU supports it",
        where=attention.where,
    )


@rule(
    "CFG009",
    "no-dataloader-workers",
    severity=INFO,
    setting="Workers that load pages",
    advice={"dataloader-workers"},
)
def check_dataloader_workers(retriever_config: RunConfig) -> Verdict:
    """Pages were loaded in the training process while the GPU waited.

    Why: decoding and tiling a page takes longer than a forward pass on a small model.
    Evidence: `dataloader_num_workers` and the recorded device.
    Fix: set `dataloader_num_workers` to two or more for each GPU.
    Source: the guide, poor settings.
    """
    workers = needed(
        retriever_config.dataloader_num_workers,
        sources.MANIFEST_OR_ARGUMENTS,
        "`dataloader_num_workers`",
        needed_for="the number of workers",
    )
    on_gpu = ran_on_gpu(retriever_config)
    if on_gpu is None:
        raise NoEvidence(
            sources.MANIFEST, what="the device", needed_for="telling whether the run used a GPU"
        )
    return Verdict(
        workers.value > 0 or not on_gpu,
        observed=f"workers: {workers.value}, {'on a GPU' if on_gpu else 'without a GPU'}",
        expected="one or more workers on a GPU",
        where=workers.where,
    )


@rule(
    "CFG011",
    "visual-tokens-over-budget",
    severity=WARNING,
    setting="Visual tokens a page",
    advice={"shorter-sequences"},
)
def check_visual_tokens(processor: ProcessorConfig, manifest: RunManifest | None) -> Verdict:
    """The saved processor can make more tokens of a page than the run's budget.

    Why: memory is planned by the budget: one large page beyond it ends the run, or is cut. In the
        guide's code budgets of 512 to 1536 all gave six tiles and a thumbnail, 1,792 tokens.
    Evidence: `max_num_visual_tokens` of the run manifest or the processor; tiles, pixels and tokens
        a tile of the processor's configuration.
    Fix: lower `max_patches` or `max_pixels` until the largest page fits, and save the processor.
    Source: the guide, out of memory; sources D05.
    """
    recorded = manifest.processor if manifest is not None else None
    budget = (recorded and recorded.max_num_visual_tokens) or processor.max_num_visual_tokens
    tokens = visual_tokens(processor)
    if not budget or tokens is None:
        raise NoEvidence(
            sources.MANIFEST, what="`max_num_visual_tokens`", needed_for="the token budget"
        )
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
    live={"start"},
    setting="Gradient checkpointing",
)
def check_checkpointing(retriever_config: RunConfig, adapter: AdapterConfig) -> Verdict:
    """Gradient checkpointing re-enters autograd under PEFT, which can cut the gradient.

    Why: inputs of a frozen base need no gradient, so a re-entrant segment gives none to the LoRA
        weights inside it: "None of the inputs have requires_grad=True".
    Evidence: `gradient_checkpointing` and its options. Without an option transformers 4 re-enters
        and transformers 5 does not; an unknown version is no evidence.
    Fix: set `gradient_checkpointing_kwargs={"use_reentrant": False}`.
    Source: torch.utils.checkpoint; transformers, `enable_input_require_grads`; sources F11.
    """
    reentrant = reentrant_checkpointing(retriever_config)
    if reentrant is None:
        raise NoEvidence(
            sources.MANIFEST_OR_ARGUMENTS,
            what="`gradient_checkpointing` and its options",
            needed_for="the kind of checkpointing",
        )
    checkpointing = retriever_config.gradient_checkpointing
    is_on = checkpointing is not None and checkpointing.value
    how = f"use_reentrant {reentrant}" if is_on else "off"
    return Verdict(
        not reentrant,
        observed=f"gradient checkpointing {how}, with {printable(adapter.peft_type, limit=20)}",
        expected="off, or use_reentrant False",
        where=checkpointing.where if checkpointing else None,
    )
