# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern demo`: a good run and two bad ones, trained, evaluated and audited here."""

import click

from colintern.commands.options import CONTEXT, extra


@click.command(context_settings=CONTEXT)
@click.option(
    "--output-dir", default="runs/demo", show_default=True, metavar="DIR", help="For all three."
)
@click.option("--quick", is_flag=True, help="A minute: too short to learn, but shows the way.")
@click.option("--threads", type=click.IntRange(min=1), metavar="N", help="CPU threads to train on.")
@click.pass_context
def demo(context: click.Context, /, **options: object) -> None:
    """Train a healthy run and two broken ones on a CPU, and show how the audit tells them apart.

    They learn to find generated pages, with a model of a million parameters: as the recipe `tiny`
    should be, with the guide's own LoRA targets, and with the settings that the guide calls poor.
    A run that is finished is kept, so the same command goes on after an interruption. The folder
    gets the runs, audit.html, audit.json, audit.txt and demo.json.

    \b
    Examples:
      colintern demo
      colintern demo --quick --output-dir runs/demo-quick
    """
    with extra("train"):
        from colintern.demo.command import run_demo  # noqa: PLC0415 - imports torch

        code = run_demo(options)
    context.exit(code)
