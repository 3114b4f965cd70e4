"""HWU: whether the machine fitted the run."""

from colintern.artifacts.logs.resource_log import ResourceLog
from colintern.diagnostics.resource_use import MIN_RESOURCE_ROWS, ResourceUse
from colintern.engine.evidence import sources
from colintern.engine.rule import rule
from colintern.engine.verdict import WARNING, NoEvidence, Verdict
from colintern.guide import Guide

SETTLED_ROWS = f"at least {MIN_RESOURCE_ROWS} rows"


@rule(
    "HWU001",
    "gpu-memory-near-limit",
    severity=WARNING,
    live={"course"},
    setting="GPU memory, peak",
    advice={"smaller-device-batch", "gradient-checkpointing", "shorter-sequences"},
)
def check_gpu_memory(resource_log: ResourceLog, resource_use: ResourceUse, guide: Guide) -> Verdict:
    """The run used nearly all memory of its GPU.

    Why: one batch of larger pages than before ends the run with an out-of-memory error, perhaps
        after hours; and the allocator loses time by giving memory back and asking again.
    Evidence: `gpu_memory_used` and `gpu_memory_total` in colintern_resources.jsonl.
    Fix: keep the batch, and with it the negatives, and set `--chunk-size 4`; or turn gradient
        checkpointing on; or lower `max_num_visual_tokens`.
    Source: the guide, resource usage: 80-90 % is normal, above 95 % is an out-of-memory risk.
    """
    peak = resource_use.gpu_memory
    if peak is None:
        raise NoEvidence(sources.RESOURCES, what="rows of a GPU", needed_for="GPU memory")
    return Verdict(
        peak.ratio <= guide.max_gpu_memory_ratio,
        observed=f"GPU memory at its peak: {peak}",
        expected=f"at most {guide.max_gpu_memory_ratio:.0%}",
        where=resource_log.path,
    )


@rule(
    "HWU002",
    "gpu-underused",
    severity=WARNING,
    live={"course"},
    setting="GPU utilisation, mean",
    advice={"dataloader-workers"},
)
def check_gpu_utilisation(
    resource_log: ResourceLog, resource_use: ResourceUse, guide: Guide
) -> Verdict:
    """The GPU waited for a good part of the run.

    Why: a GPU that waits for pages to be decoded and tiled makes the run as much longer.
    Evidence: `gpu_utilisation` in colintern_resources.jsonl, mean over the run.
    Fix: set `dataloader_num_workers` to four or more for each GPU; use a larger batch or chunk.
    Source: the guide, resource usage: 90-100 % is normal, below 70 % is inefficient.
    """
    utilisation = resource_use.gpu_utilisation
    if utilisation is None:
        raise NoEvidence(
            sources.RESOURCES,
            what=f"{SETTLED_ROWS} with `gpu_utilisation`",
            needed_for="the utilisation of the GPU",
        )
    return Verdict(
        utilisation >= guide.min_gpu_utilisation,
        observed=f"GPU in use {utilisation:.0%} of the time, over {resource_use.rows:,} rows",
        expected=f"at least {guide.min_gpu_utilisation:.0%}",
        where=resource_log.path,
    )


@rule(
    "HWU003",
    "slow-steps",
    severity=WARNING,
    live={"course"},
    setting="Time of a step, median",
    advice={"step-time"},
)
def check_step_time(resource_log: ResourceLog, resource_use: ResourceUse, guide: Guide) -> Verdict:
    """An optimiser step took long.

    Why: at the guide's 9,200 steps, ten seconds a step are more than a day.
    Evidence: `step_seconds` in colintern_resources.jsonl, median over the run.
    Fix: use bf16 and flash-attention 2, more workers, fewer visual tokens or another GPU.
    Source: the guide, resource usage: 2-4 s a step is normal, more than 10 s is a warning sign.
    """
    seconds = resource_use.step_seconds
    if seconds is None:
        raise NoEvidence(
            sources.RESOURCES,
            what=f"{SETTLED_ROWS} with `step_seconds`",
            needed_for="the time of a step",
        )
    return Verdict(
        seconds <= guide.max_step_seconds,
        observed=f"{seconds:.3g} s an optimiser step, median of {resource_use.rows:,} rows",
        expected=f"at most {guide.max_step_seconds:g} s",
        where=resource_log.path,
    )


@rule(
    "HWU004",
    "cpu-memory-near-limit",
    severity=WARNING,
    live={"course"},
    setting="CPU memory, peak",
)
def check_cpu_memory(resource_log: ResourceLog, resource_use: ResourceUse, guide: Guide) -> Verdict:
    """The machine's own memory was nearly full.

    Why: the system ends a process when memory is full, without a message in the log.
    Evidence: `cpu_memory_used` and `cpu_memory_total` in colintern_resources.jsonl.
    Fix: lower `dataloader_num_workers`, each of which holds its own batches; stop other programs.
    Source: the guide, resource usage: below 80 % is normal, above 90 % is a warning sign.
    """
    peak = resource_use.cpu_memory
    if peak is None:
        raise NoEvidence(
            sources.RESOURCES, what="rows with `cpu_memory_used`", needed_for="CPU memory"
        )
    return Verdict(
        peak.ratio <= guide.max_cpu_memory_ratio,
        observed=f"memory at its peak: {peak}",
        expected=f"at most {guide.max_cpu_memory_ratio:.0%}",
        where=resource_log.path,
    )
