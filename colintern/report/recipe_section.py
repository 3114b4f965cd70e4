"""The recipe of each run beside the guide's numbers, and what the audit says of each."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from msgspec import Struct

from colintern.engine.part import LeftOut
from colintern.engine.resolver import Resolver
from colintern.engine.rule_fields import Setting
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


class SettingRow(Struct, frozen=True):
    """One row of the table; a rule whose `setting` is its label judges it."""

    label: Setting
    value: Callable[..., str | None]
    """Of the run; None, or no evidence, where it was not recorded."""
    guide: str = ""
    """The guide's number, for its own 1B model; formatted with `guide` and `recipe`."""
    tells_target: bool = False
    """Whether what its rule expects of this family is shown also where the rule passed."""


SETTINGS: Final = (
    SettingRow("Recipe", values.recipe_name),
    SettingRow("Base model", values.base_model, "InternVL3.5-1B"),
    SettingRow("Training data", values.training_data),
    SettingRow("Epochs", values.epochs, "{guide.min_epochs:g}, not 1"),
    SettingRow("Optimiser steps", values.steps),
    SettingRow("Batch per device", values.device_batch, "{recipe.per_device_train_batch_size}"),
    SettingRow("Accumulation", values.accumulation, "{recipe.gradient_accumulation_steps}"),
    SettingRow(
        "Effective batch",
        values.effective_batch,
        "at least {guide.min_effective_batch_size}",
    ),
    SettingRow(
        "In-batch negatives a query",
        values.negatives,
        "at least {guide.min_in_batch_negatives}; accumulation adds none",
    ),
    SettingRow(
        "Learning rate",
        values.learning_rate,
        "{recipe.learning_rate:g}",
        tells_target=True,
    ),
    SettingRow("Warm-up", values.warmup, "{guide.min_warmup_steps} steps"),
    SettingRow("Schedule", values.schedule, "warm-up, then decay"),
    SettingRow("LoRA rank", values.rank, "{recipe.lora.rank}"),
    SettingRow("LoRA alpha", values.alpha, "{recipe.lora.alpha}, equal to the rank"),
    SettingRow("LoRA dropout", values.dropout, "{guide.lora_dropout:g}"),
    SettingRow(
        "LoRA reaches",
        values.reach,
        "every linear module of the language model",
    ),
    SettingRow("Projection", values.projection, "included"),
    SettingRow("Loss", values.loss),
    SettingRow("Precision", values.precision, "bf16"),
    SettingRow("Attention", values.attention, "flash attention"),
    SettingRow("Gradient clipping", values.clipping, "{recipe.max_grad_norm:g}"),
    SettingRow("Gradient checkpointing", values.checkpointing, "if memory is short"),
    SettingRow("Evaluation while training", values.evaluation, "on"),
    SettingRow("Workers that load pages", values.workers, "not 0"),
    SettingRow(
        "Visual tokens a page",
        values.visual_tokens,
        "{recipe.max_num_visual_tokens}",
    ),
    SettingRow("Hardware", values.hardware, "RTX 5090 32GB, A100 40GB or 80GB"),
    SettingRow("Training time", values.training_time, "15 to 40 hours"),
    SettingRow("Software", values.software, "torch>=2.8, transformers>=4.46, peft>=0.12"),
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


def _text_of(run: ReportedRun, setting: SettingRow) -> str:
    found = run.part("", setting.value)
    if isinstance(found, LeftOut):
        return _NOT_READABLE if found.broken else _NOT_RECORDED
    return found or _NOT_RECORDED


def _guide_cell(setting: SettingRow, guide: Guide) -> Cell:
    return Cell(setting.guide.format(guide=guide, recipe=_RECIPE))


def _cell_of(setting: SettingRow) -> Callable[[ReportedRun, str], Cell]:
    def cell(run: ReportedRun, text: str) -> Cell:
        judged = run.judged_cell(text, setting.label)
        if text in _UNKNOWN and judged.mark == "passed":
            return Cell(text)  # The rule could judge something else that the log shows.
        if setting.tells_target and judged.mark == "passed":
            result = run.gravest(setting.label)
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
