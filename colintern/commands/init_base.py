# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern init-base`: a vision-language model made into a base with a projection."""

import click

from colintern.commands.options import CONTEXT, extra


@click.command("init-base", context_settings=CONTEXT)
@click.argument("source", metavar="BASE")
@click.option("--output-dir", required=True, metavar="DIR", help="A folder that is not there yet.")
@click.option("--seed", default=0, show_default=True, help="Of the projection's values.")
@click.option(
    "--dim",
    type=click.IntRange(min=1),
    default=128,
    show_default=True,
    help="Width of an embedding.",
)
@click.option(
    "--max-num-visual-tokens", type=int, metavar="N", help="Budget of a page, saved with it."
)
@click.option("--download", is_flag=True, help="Fetch BASE from the Hub if it is not cached.")
@click.pass_context
def init_base(context: click.Context, /, **options: object) -> None:
    """Write BASE, an InternVL, with a projection drawn from a seed, and its processor.

    A vision-language model has no projection. Adapters that are trained on the written base need
    not carry one, and all start from the same. BASE is a folder or a Hub id.

    \b
    Examples:
      colintern init-base OpenGVLab/InternVL3_5-1B-HF --output-dir bases/colintern-1b --download
      colintern train --base bases/colintern-1b --output-dir runs/a
    """
    with extra("train"):
        from colintern.training.init_base import run_init_base  # noqa: PLC0415 - imports torch

        code = run_init_base(options)
    context.exit(code)
