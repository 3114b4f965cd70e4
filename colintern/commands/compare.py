# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern compare`: the results of several runs side by side, and how sure differences are."""

from pathlib import Path

import click

from colintern.commands.context import CONTEXT

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(context_settings=CONTEXT)
@click.argument(
    "runs",
    nargs=-1,
    required=True,
    metavar="RUN1 RUN2 ...",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
)
@click.option("--markdown", "markdown_file", type=_FILE, metavar="FILE", help="Write it there too.")
@click.option("--csv", "csv_file", type=_FILE, metavar="FILE", help="Write the table of scores.")
@click.pass_context
def compare(
    context: click.Context,
    runs: tuple[Path, ...],
    markdown_file: Path | None,
    csv_file: Path | None,
) -> None:
    """Compare the results of runs, or of folders with results, with those of the first.

    The mean is over the tasks that all have. A difference counts where its 95 % interval does not
    hold 0; the intervals of one comparison hold together. The exit status is 1 where a run has no
    task that may be compared with the first.

    \b
    Examples:
      colintern compare runs/before runs/after
      colintern compare runs/a runs/b runs/c --markdown comparison.md --csv scores.csv
    """
    if len(runs) == 1:
        raise click.UsageError("name at least two runs, or one of them twice")
    from colintern.artifacts.errors import ArtifactError  # noqa: PLC0415 - not for --help
    from colintern.commands import comparison_output as output  # noqa: PLC0415 - imports numpy

    try:
        shown = output.compared_runs(runs)
    except ArtifactError as error:
        raise click.UsageError(str(error)) from error
    click.echo(shown.text)
    for file, text in ((markdown_file, shown.markdown), (csv_file, shown.csv)):
        if file is not None:
            output.write(file, text)
    context.exit(0 if shown.comparable else 1)
