"""The recipe of each run beside the guide's numbers, and what the audit says of each."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from msgspec import Struct

from colintern.engine.part import LeftOut
from colintern.engine.resolver import Resolver
from colintern.guide import GUIDE, Guide
from colintern.recipes.named import guide_1b
from colintern.report import recipe_values as values
from colintern.report.document import Absences, Block, Cell, Section, Table
from colintern.report.reported_run import ReportedRun, head, short_head

_NOT_RECORDED: Final = "not recorded"
_NOT_READABLE: Final = "not readable"
_UNKNOWN: Final = (_NOT_RECORDED, _NOT_READABLE)
_SOURCES: Final = ("manifest", "training_args", "training_log", "adapter")
"""Evidence that the settings are read from; each is one file."""
_RECIPE: Final = guide_1b()


class Setting(Struct, frozen=True):
    """One row of the table."""

    label: str
    value: Callable[..., str | None]
    """Of the run; None, or no evidence, where it was not recorded."""
    guide: str = ""
    """The guide's number, for its own 1B model; formatted with `guide` and `recipe`."""
    rules: tuple[str, ...] = ()
    """Rules that judge it."""
    tells_target: bool = False
    """Whether what its rule expects of this family is shown also where the rule passed."""


SETTINGS: Final = (
    Setting("Recipe", values.recipe_name),
    Setting("Base model", values.base_model, "InternVL3.5-1B", ("ADP015", "ADP021")),
    Setting("Training data", values.training_data),
    Setting("Epochs", values.epochs, "{guide.min_epochs:g}, not 1", ("CFG001",)),
    Setting("Optimiser steps", values.steps, "", ("LOG013",)),
    Setting("Batch per device", values.device_batch, "{recipe.per_device_train_batch_size}"),
    Setting("Accumulation", values.accumulation, "{recipe.gradient_accumulation_steps}"),
    Setting(
        "Effective batch",
        values.effective_batch,
        "at least {guide.min_effective_batch_size}",
        ("CFG002",),
    ),
    Setting(
        "In-batch negatives a query",
        values.negatives,
        "at least {guide.min_in_batch_negatives}; accumulation adds none",
        ("CFG004", "CFG014"),
    ),
    Setting(
        "Learning rate",
        values.learning_rate,
        "{recipe.learning_rate:g}",
        ("CFG003",),
        tells_target=True,
    ),
    Setting("Warm-up", values.warmup, "{guide.min_warmup_steps} steps", ("CFG005",)),
    Setting("Schedule", values.schedule, "warm-up, then decay", ("LOG012",)),
    Setting("LoRA rank", values.rank, "{recipe.lora.rank}", ("ADP006",)),
    Setting("LoRA alpha", values.alpha, "{recipe.lora.alpha}, equal to the rank", ("ADP007",)),
    Setting("LoRA dropout", values.dropout, "{guide.lora_dropout:g}", ("ADP008",)),
    Setting(
        "LoRA reaches",
        values.reach,
        "every linear module of the language model",
        ("ADP003", "ADP004", "ADP009"),
    ),
    Setting("Projection", values.projection, "included", ("ADP002", "PRJ001", "PRJ002")),
    Setting("Loss", values.loss, "", ("CFG013", "CFG015")),
    Setting("Precision", values.precision, "bf16", ("CFG006",)),
    Setting("Attention", values.attention, "flash attention", ("CFG007",)),
    Setting("Gradient clipping", values.clipping, "{recipe.max_grad_norm:g}", ("CFG010",)),
    Setting("Gradient checkpointing", values.checkpointing, "if memory is short", ("CFG012",)),
    Setting("Evaluation while training", values.evaluation, "on", ("CFG008",)),
    Setting("Workers that load pages", values.workers, "not 0", ("CFG009",)),
    Setting(
        "Visual tokens a page",
        values.visual_tokens,
        "{recipe.max_num_visual_tokens}",
        ("CFG011", "PRC004"),
    ),
    Setting("Hardware", values.hardware, "RTX 5090 32GB, A100 40GB or 80GB"),
    Setting("Training time", values.training_time, "15 to 40 hours"),
    Setting("Software", values.software, "torch>=2.8, transformers>=4.46, peft>=0.12", ("ENV001",)),
)


def recipe_section(runs: Sequence[ReportedRun], guide: Guide) -> Section:
    """Show every setting that one of the runs recorded, and say which files would tell the rest."""
    texts = [[_text_of(run, setting) for run in runs] for setting in SETTINGS]
    blocks: list[Block] = []
    if any(text not in _UNKNOWN for row in texts for text in row):
        rows = tuple(
            (Cell(setting.label), *map(_cell_of(setting), runs, row), _guide_cell(setting, guide))
            for setting, row in zip(SETTINGS, texts, strict=True)
        )
        columns = head(runs, "Setting", "The guide (1B)")
        blocks.append(Table("", columns, rows, _NOTE, short_head=short_head(columns, runs)))
    if any(text in _UNKNOWN for row in texts for text in row):
        absences = _missing_files(runs)
        blocks += [Absences(absences)] if absences else []
    aside = "" if guide == GUIDE else "with your own thresholds"
    return Section("recipe", "The recipe beside the guide", tuple(blocks), aside)


_NOTE: Final = (
    "The signs are the audit's, which judges by the family and size of each run: a rate that suits "
    "another model than the guide's passes."
)


def _text_of(run: ReportedRun, setting: Setting) -> str:
    found = run.part("", setting.value)
    if isinstance(found, LeftOut):
        return _NOT_READABLE if found.broken else _NOT_RECORDED
    return found or _NOT_RECORDED


def _guide_cell(setting: Setting, guide: Guide) -> Cell:
    return Cell(setting.guide.format(guide=guide, recipe=_RECIPE))


def _cell_of(setting: Setting) -> Callable[[ReportedRun, str], Cell]:
    def cell(run: ReportedRun, text: str) -> Cell:
        judged = run.judged_cell(text, setting.rules)
        if text in _UNKNOWN and judged.mark == "passed":
            return Cell(text)  # The rule could judge something else that the log shows.
        if setting.tells_target and judged.mark == "passed":
            result = run.gravest(setting.rules)
            return Cell(judged.text, judged.mark, f"expected {result.expected}" if result else "")
        return judged

    return cell


def _missing_files(runs: Sequence[ReportedRun]) -> tuple[LeftOut, ...]:
    """Return the files that a setting could have been read from and that are not there."""
    found: dict[str, LeftOut] = {}
    for run in runs:
        for name in _SOURCES:
            missing = run.part("Settings", partial(_read, name))
            if isinstance(missing, LeftOut):
                found.setdefault(f"{missing.title}: {missing.reason}", missing)
    return tuple(found.values())


def _read(name: str, resolver: Resolver) -> object:
    return resolver.get(name)
