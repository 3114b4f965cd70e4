"""Options that `colintern evaluate` and `colintern vidore-eval` share."""

from collections.abc import Callable
from typing import Any, Final

import click

_OPTIONS: Final = (
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
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
