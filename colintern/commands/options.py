"""Options that decide what a run trains on: of `colintern train` and of every trial of a search."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeVar

import click

CONTEXT: Final[dict[str, Any]] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
}
"""click's settings."""


WITHOUT_UV: Final = (
    "`pip install uv` brings uv. Plain pip may take torch and torchvision from different package "
    "indexes, and such a pair cannot be imported: with it, install both from one index first "
    "(pip install torch torchvision --index-url URL), then the rest"
)
"""Why the hints say uv, and what to do without it."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Say which extra of the package is needed, where a library that it brings is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"colintern", "pytest_colintern", "checks"}:
            raise
        raise click.UsageError(
            f"this needs the extra `{name}` ({error.name} is missing): "
            f"uv pip install 'colintern[{name}]', or -e '.[{name}]' in a clone. {WITHOUT_UV}"
        ) from error


_EVALUATION_OPTIONS: Final = (
    click.option(
        "--benchmarks",
        multiple=True,
        metavar="NAME...",
        help="ViDoRe(v1), ViDoRe(v2), ViDoRe(v3), pages, or tasks. [default: v1 and v2]",
    ),
    click.argument("more", nargs=-1, metavar=""),
    click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        default=16,
        show_default=True,
        metavar="N",
        help="Pages that are embedded at once.",
    ),
    click.option(
        "--results-dir",
        "--output-dir",
        metavar="DIR",
        help="Where MODEL/TASK.json is written. [default: results/mteb_evaluation]",
    ),
    click.option("--data-dir", metavar="DIR", help="Local copies of the data: DIR/ORG/NAME."),
    click.option("--device", metavar="NAME", help="As cuda:0. [default: a GPU when there is one]"),
    click.option(
        "--base", metavar="DIR", help="The base model, when its recorded path is not here."
    ),
    click.option("--family", metavar="NAME", help="The retriever family, when it cannot be told."),
)


def evaluation_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the shared options."""
    for option in reversed(_EVALUATION_OPTIONS):
        command = option(command)
    return command


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

_RUN_OPTIONS: Final = (
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
    for option in reversed(_RUN_OPTIONS):
        command = option(command)
    return command
