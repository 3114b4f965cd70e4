"""`colintern demo`: from the command line to the table of the demonstration runs."""

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from colintern.model.quiet_import import import_engine
from colintern.training.command import TERMINATED, prepare_environment


def run_demo(options: Mapping[str, Any]) -> int:
    """Make the runs and print the table.

    Returns:
        The exit code.

    Raises:
        click.ClickException: the folder cannot be used, or the disk is full.
    """
    prepare_environment(download=False)
    import_engine()
    import torch  # noqa: PLC0415 - after the environment is set

    from colintern.demo.runs import DemoError, make_demo  # noqa: PLC0415 - as above
    from colintern.training.preflight import PreflightError  # noqa: PLC0415 - as above

    if options["threads"] is not None:
        torch.set_num_threads(options["threads"])
    folder, started = Path(options["output_dir"]), time.monotonic()
    try:
        table = make_demo(folder, quick=options["quick"])
    except (DemoError, PreflightError) as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error}; the same command goes on") from error
    if table is None:
        click.echo(f"{folder}: saved; the same command goes on")
        return TERMINATED
    if options["quick"]:
        click.echo("A tenth of the training: no run has learnt to find pages, see the full demo.")
    click.echo(table)
    reports = ", ".join(str(folder / name) for name in ("audit.html", "audit.txt", "demo.json"))
    click.echo(f"\n{time.monotonic() - started:.0f} s; reports: {reports}")
    return 0
