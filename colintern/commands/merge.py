# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern merge`: an adapter and its base made into one model."""

from pathlib import Path

import click

from colintern.commands.options import CONTEXT, extra


@click.command(context_settings=CONTEXT)
@click.argument("path", metavar="PATH")
@click.option("--output-dir", required=True, metavar="DIR", help="A folder that is not there yet.")
@click.option("--base", metavar="DIR", help="The base model, when its recorded path is not here.")
@click.option("--family", metavar="NAME", help="The retriever family, when it cannot be told.")
def merge(path: str, output_dir: str, base: str | None, family: str | None) -> None:
    """Fold the adapter at PATH into its base, and write the whole model with its processor.

    Weights keep the type of the base. The written files are compared with base and adapter, as rule
    ADP020 does, and the folder appears only when they are right.

    \b
    Examples:
      colintern merge runs/a --output-dir merged/a
      colintern audit runs/a --merged merged/a --select ADP020
      colintern evaluate --model-path merged/a --benchmarks pages
    """
    from colintern.model.quiet_import import import_engine  # noqa: PLC0415 - for a quick --help

    with extra("train"):
        import_engine()
        from colintern.evaluation.checkpoint import CheckpointError  # noqa: PLC0415 - imports torch
        from colintern.evaluation.merged_model import (  # noqa: PLC0415 - imports torch
            MergedFolderError,
            write_merged,
        )

        try:
            verified = write_merged(path, Path(output_dir), base=base, family=family)
        except (CheckpointError, MergedFolderError) as error:
            raise click.ClickException(str(error)) from error
    click.echo(f"{output_dir}: merged; {verified} matrices are base + s·B·A within rounding")
