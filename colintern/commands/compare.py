# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern compare`: the results of several runs side by side, and how sure differences are."""

from pathlib import Path

import click

from colintern.commands.options import CONTEXT

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(context_settings=CONTEXT)
@click.argument("runs", nargs=-1, required=True, metavar="RUN1 RUN2 ...")
@click.option("--html", "html_file", type=_FILE, metavar="FILE", help="Write it as one page too.")
@click.option("--markdown", "markdown_file", type=_FILE, metavar="FILE", help="The same as text.")
@click.option("--csv", "csv_file", type=_FILE, metavar="FILE", help="A row a run, task and metric.")
@click.pass_context
def compare(context: click.Context, /, runs: tuple[str, ...], **files: Path | None) -> None:
    """Compare the results of runs, or of folders with results, with those of the first.

    The mean is over the tasks that all have. A difference counts where its 95 % interval does not
    hold 0; the intervals of one comparison hold together. Where both runs have predictions, they
    are compared query by query. The exit status is 1 where a run has no task that may be compared
    with the first.

    \b
    Examples:
      colintern compare runs/before runs/after
      colintern compare runs/a runs/b runs/c --html comparison.html --csv scores.csv
      colintern compare demo:healthy demo:guide-as-written
    """
    if len(runs) == 1:
        raise click.UsageError("name at least two runs, or one of them twice")
    from colintern.artifacts.errors import ArtifactError  # noqa: PLC0415 - not for --help
    from colintern.commands import comparison_output as output  # noqa: PLC0415 - imports numpy
    from colintern.engine.subjects import SubjectError  # noqa: PLC0415 - as above
    from colintern.report.compared_runs import compared_runs  # noqa: PLC0415 - as above

    try:
        compared = compared_runs(runs)
    except (ArtifactError, SubjectError) as error:
        raise click.UsageError(str(error).removeprefix("--checkpoint ")) from error
    click.echo(output.text_of(compared))
    if (file := files["markdown_file"]) is not None:
        output.write(file, output.markdown_of(compared))
    if (file := files["csv_file"]) is not None:
        output.write(file, output.csv_of(compared))
    if (file := files["html_file"]) is not None:
        from colintern.report.comparison_page import comparison_page  # noqa: PLC0415 - jinja2

        output.write(file, comparison_page(compared))
    context.exit(0 if compared.comparable else 1)
