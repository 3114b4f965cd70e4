"""The families of rules: one entry has all that is known of one, in the order of breakage."""

from typing import Final, Literal

from msgspec import Struct

Remedy = Literal["train", "evaluate"]


class RuleFamily(Struct, frozen=True, kw_only=True):
    """All rules whose ids begin with the same letters."""

    prefix: str
    """As `ADP`."""
    title: str
    """One or two words for a heading."""
    judges: str
    """What its rules look at, for the table in the README."""
    remedy: Remedy | None = None
    """What has to be done again once a fault is fixed; None where neither is needed."""
    loads_model: bool = False
    """Whether its rules load the model: they are judged only with `--live`."""
    bookkeeping: bool = False
    """Whether any folder can satisfy it: passing it alone says nothing about the model."""


SAFETY: Final = "SEC"
"""The family whose failures come first in a table of runs: such a folder must not be loaded."""

RULE_FAMILIES: Final = (
    RuleFamily(
        prefix=SAFETY,
        title="safety",
        judges="safety: pickles, remote code, malformed files, paths that escape",
        bookkeeping=True,
    ),
    RuleFamily(
        prefix="ADP",
        title="adapter",
        judges="the LoRA adapter: what was targeted, what was reached, what was learned",
        remedy="train",
    ),
    RuleFamily(
        prefix="PRJ",
        title="projection",
        judges="the projection `custom_text_proj`: saved, trained, of the right size",
        remedy="train",
    ),
    RuleFamily(
        prefix="CFG",
        title="configuration",
        judges="how the run was configured: epochs, batch, negatives, learning rate, precision",
        remedy="train",
    ),
    RuleFamily(
        prefix="PRC",
        title="processor",
        judges="processor and tokenizer: padding side, query format, resolution",
        remedy="evaluate",
    ),
    RuleFamily(
        prefix="DAT",
        title="data",
        judges="the training data: duplicates, leakage, blank pages, truncated queries",
        remedy="train",
    ),
    RuleFamily(
        prefix="LOG",
        title="training log",
        judges="the training log: chance level, convergence, oscillation, overfitting, NaN",
        remedy="train",
    ),
    RuleFamily(
        prefix="RES",
        title="results",
        judges="evaluation results over every MTEB layout: bands, invariants, mixed versions",
        remedy="evaluate",
    ),
    RuleFamily(
        prefix="CMP",
        title="comparison",
        judges="with `--baseline DIR`: a loss beyond chance, results that do not compare",
        remedy="evaluate",
    ),
    RuleFamily(
        prefix="LIV",
        title="live model",
        judges="with `--live`: the loaded model itself, run on some pages",
        loads_model=True,
    ),
    RuleFamily(
        prefix="HWU",
        title="hardware use",
        judges="what the run used: memory near its limit, an idle GPU, slow steps",
        remedy="train",
    ),
    RuleFamily(
        prefix="REC",
        title="records",
        judges="files of one run that contradict each other",
        bookkeeping=True,
    ),
    RuleFamily(
        prefix="ENV",
        title="environment",
        judges="versions that do not fit together, missing provenance",
        bookkeeping=True,
    ),
)
"""From the first thing that can break to the last. The data come before the log, which shows what
they did; records stand with the environment, as both are about how a run was written down."""

STAGES: Final = tuple(family.prefix for family in RULE_FAMILIES)
"""Their prefixes in the same order: it breaks ties between root causes."""


def families_to(remedy: Remedy) -> frozenset[str]:
    """Return the prefixes of the families whose faults are repaired by doing that again."""
    return frozenset(family.prefix for family in RULE_FAMILIES if family.remedy == remedy)
