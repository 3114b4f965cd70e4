"""Options that decide what a run trains on: of `colintern train` and of every trial of a search."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from colintern.commands.context import CONTEXT

F = TypeVar("F", bound=Callable[..., Any])


def _with_hyphens(name: str) -> str:
    return name.replace("_", "-")


RUN_CONTEXT: Final[dict[str, Any]] = {
    **CONTEXT,
    "ignore_unknown_options": True,
    "token_normalize_func": _with_hyphens,
}
"""click's settings of a command that hands what it does not know to TrainingArguments; its own
options have both spellings as those have."""

_OPTIONS: Final = (
    click.option("--lr", type=float, metavar="RATE", help="Peak learning rate."),
    click.option("--peft/--no-peft", default=True, help="Train LoRA, the only way there is."),
    click.option("--base", metavar="NAME", help="Folder or Hub id of the base model."),
    click.option(
        "--dataset", metavar="NAME", help="Hub id, folder, parquet file, or images + JSONL."
    ),
    click.option("--eval-rows", type=int, metavar="N", help="Rows held out for the evaluation."),
    click.option("--negatives-column", metavar="NAME", help="Column with lists of hard negatives."),
    click.option("--num-negatives", type=int, metavar="N", help="Hard negatives of every row."),
    click.option(
        "--on-bad-row", type=click.Choice(["skip", "fail"]), help="Empty query, broken page."
    ),
    click.option(
        "--contrastive-batch-size", "batch", type=int, metavar="N", help="Pages compared at once."
    ),
    click.option(
        "--chunk-size", type=int, metavar="N", help="Pages in memory at once; caches a batch."
    ),
    click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="As lora.rank=8."),
    click.option("--download", is_flag=True, help="Fetch base and data from the Hub if missing."),
)


def run_options(command: F) -> F:
    """Add the options, in the order in which `--help` shows them."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
