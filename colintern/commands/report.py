# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern report`: the training report of one run, or of several side by side."""

from pathlib import Path

import click

from colintern.commands.options import CONTEXT


@click.command(context_settings=CONTEXT)
@click.argument("runs", nargs=-1, metavar="[RUN]...")
@click.option("--model-path", multiple=True, metavar="RUN", help="A run; give it several times.")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="FILE.html and FILE.md, or a folder (default: RUN-name_report here).",
)
@click.option(
    "--results", metavar="DIR", help="Task results: JSON files in DIR or in DIR/SUBJECT/**."
)
@click.option("--base", metavar="DIR", help="The base model, when its recorded path is not here.")
@click.option("--family", metavar="NAME", help="The retriever family, when it cannot be told.")
@click.option("--guide", metavar="FILE", help="TOML that overrides thresholds of the guide.")
def report(
    runs: tuple[str, ...], model_path: tuple[str, ...], output: Path | None, **where: str
) -> None:
    """Write what is known of a training: an HTML page and the same in Markdown.

    RUN is what `colintern audit` takes: a run directory, one checkpoint-N, an adapter or merged
    model folder, a Hub id in the local cache, demo or demo:NAME. Of several runs (six at most) the
    curves share their figures. The page needs no network and runs no script. What was not recorded
    is named, with the file that would tell it. Exit codes: 0 written, 2 usage error.

    \b
    Examples:
      colintern report --model-path runs/colintern-1b
      colintern report demo:healthy demo:poor-settings --output comparison.html
      colintern report --model-path runs/a --model-path runs/b --results results/mteb_evaluation
    """
    from colintern.report.report_files import ReportError, write_report  # noqa: PLC0415 - numpy

    named = [*model_path, *runs]
    if not named:
        raise click.UsageError("name a run: colintern report --model-path RUN (or `demo`)")
    try:
        written = write_report(named, output, where)
    except ReportError as error:
        raise click.UsageError(str(error)) from error
    for line in written.lines:
        click.echo(line)
