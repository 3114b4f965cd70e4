"""The LoRA adapter's settings: rank, scale, dropout and task."""

from typing import Final

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.printable import printable
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.adapter.faults import scale_text, unscaled_modules
from colintern.engine.evidence import sources
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, INFO, WARNING, NoEvidence, Verdict
from colintern.families.family import Family
from colintern.families.outline.modules import ModuleOutline
from colintern.guide import Guide

SMALL_MODEL: Final = 0.7e9
LARGE_MODEL: Final = 3e9
"""Parameters at which the guide's rank changes, counted truly (sources N08)."""


@rule(
    "ADP006",
    "rank-off-target",
    severity=WARNING,
    requires={"ADP001"},
    explains={"ADP014"},
    live={"start"},
    setting="LoRA rank",
    advice={"hyperparameters"},
    satisfies={"hyperparameters"},
)
def check_rank_fits_size(
    adapter: AdapterConfig, outline: ModuleOutline, family: Family, guide: Guide
) -> Verdict:
    """The rank is not the guide's for a base of this size.

    Why: too low a rank cannot hold the change, too high a one costs memory. The guide's figures are
        for ColIntern; other families are no evidence.
    Evidence: `r` in adapter_config.json; the base's parameters, counted from its configuration.
    Fix: rank 16 below 0.7 billion parameters, 32 up to 3 billion, 64 above.
    Source: the guide, LoRA configuration; sources N08 for the sizes.
    """
    if not family.follows_guide:
        raise NoEvidence(
            sources.GUIDE, what=f"a rank for {family.name}", needed_for="judging the rank"
        )
    size = outline.num_parameters
    bands = (guide.rank_small, guide.rank_medium, guide.rank_large)
    expected = bands[(size >= SMALL_MODEL) + (size > LARGE_MODEL)]
    return Verdict(
        adapter.r == expected,
        observed=f"rank {adapter.r} for a base of {size:,} parameters",
        expected=f"rank {expected}",
        where=adapter.path,
    )


@rule(
    "ADP007",
    "alpha-not-rank",
    severity=WARNING,
    up_to=ERROR,
    requires={"ADP001"},
    explains={
        *("ADP011", "ADP012", "ADP024", "LIV004", "LIV007", "LIV009", "LIV010"),
        *("LOG002", "LOG003", "LOG004", "LOG006", "LOG011"),
        *("PRJ002", "RES001", "RES002", "RES005"),
    },
    live={"start"},
    setting="LoRA alpha",
    advice={"hyperparameters"},
)
def check_alpha_equals_rank(coverage: AdapterCoverage, family: Family) -> Verdict:
    """The update is scaled by something other than one: `lora_alpha` differs from the rank.

    Why: the scale multiplies every update, so it multiplies the learning rate that the recipe was
        tuned for. With `use_rslora` the scale is alpha / sqrt(r). Outside ColIntern it is a note.
        At zero nothing that was learned has any effect, below it the opposite has: an error, and
        the only case in which it explains what else is wrong.
    Evidence: `lora_alpha`, `r`, `alpha_pattern`, `rank_pattern`, `use_rslora`.
    Fix: set `lora_alpha` to `r` (to the square root of `r` with `use_rslora`).
    Source: the guide, LoRA configuration: "Keep equal to rank".
    """
    config = coverage.config
    unscaled = unscaled_modules(config, coverage.tensors)
    if unscaled is None:
        raise NoEvidence(
            sources.ADAPTER_CONFIG,
            what="a pattern that can be tried safely",
            needed_for="the scale of LoRA",
        )
    is_error = config.lora_alpha <= 0 and not config.alpha_pattern
    return Verdict(
        not unscaled,
        observed=scale_text(config, unscaled),
        expected="a scale of 1 on every module",
        where=config.path,
        severity=ERROR if is_error else WARNING if family.follows_guide else INFO,
        explains=None if is_error else (),
    )


@rule(
    "ADP008",
    "dropout-off-guide",
    severity=INFO,
    requires={"ADP001"},
    setting="LoRA dropout",
    advice={"hyperparameters"},
)
def check_dropout_is_guides(adapter: AdapterConfig, family: Family, guide: Guide) -> Verdict:
    """LoRA's dropout is not the guide's.

    Why: the recipe was tuned with it; without dropout a small data set is learned by heart sooner.
    Evidence: `lora_dropout` in adapter_config.json.
    Fix: `lora_dropout=0.1`.
    Source: the guide, LoRA configuration; every configuration of colpali-engine has 0.1.
    """
    return Verdict(
        abs(adapter.lora_dropout - guide.lora_dropout) < 1e-9,
        observed=f"dropout {adapter.lora_dropout:g}",
        expected=f"dropout {guide.lora_dropout:g} for {family.name}",
        where=adapter.path,
    )


@rule("ADP018", "wrong-task-type", severity=INFO, requires={"ADP001"})
def check_task_is_feature_extraction(adapter: AdapterConfig, family: Family) -> Verdict:
    """The adapter's task is not feature extraction.

    Why: `CAUSAL_LM` wraps `generate` and treats labels; a retriever has neither.
    Evidence: `task_type` in adapter_config.json.
    Fix: `task_type="FEATURE_EXTRACTION"`.
    Source: sources B16; every configuration of colpali-engine.
    """
    task = printable(adapter.task_type or "none", limit=60)
    return Verdict(
        adapter.task_type == "FEATURE_EXTRACTION",
        observed=f"task type {task}",
        expected=f"FEATURE_EXTRACTION for {family.name}",
        where=adapter.path,
    )
