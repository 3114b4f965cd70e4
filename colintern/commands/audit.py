# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern audit`: judge trained checkpoints."""

import os
from pathlib import Path
from typing import Any, Final

import click

from colintern.commands.options import CONTEXT

_INTERRUPTED: Final = 2
_INTERNAL_ERROR: Final = 3


class _Mistake(click.UsageError):
    """A mistyped option: pytest's exit code, since click's own 2 means "interrupted" here."""

    exit_code = 4


class _Audit(click.Command):
    """A command whose mistyped options end like mistakes that the audit itself finds."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options."""
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            raise _Mistake(error.format_message(), error.ctx) from error


class _Jobs(click.ParamType):  # type: ignore[type-arg] # generic in newer versions of click
    """A number of processes, or `auto`."""

    name = "N"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the number."""
        if value == "auto":
            return os.cpu_count() or 1
        try:
            number = int(value)
        except ValueError:
            number = 0
        if number < 1:
            self.fail(f"{value!r}: expected a number of processes, or auto", param, ctx)
        return number


@click.command(cls=_Audit, context_settings=CONTEXT)
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option(
    "--results",
    metavar="DIR",
    help="Task results: JSON files in DIR or in DIR/SUBJECT/**.",
)
@click.option("--baseline", metavar="DIR", help="Results to compare with (CMP rules).")
@click.option("--merged", metavar="DIR", help="A merged model to verify against base + adapter.")
@click.option("--base", metavar="DIR", help="The base model, when its recorded path is not here.")
@click.option("--family", metavar="NAME", help="The retriever family, when it cannot be told.")
@click.option("--guide", metavar="FILE", help="TOML that overrides thresholds of the guide.")
@click.option(
    "--checks",
    metavar="PATH",
    multiple=True,
    help="Your own check_*.py files or folders.",
)
@click.option(
    "--select",
    metavar="IDS",
    multiple=True,
    help="Only these rules or families: ADP,LOG002.",
)
@click.option("--skip-rules", metavar="IDS", multiple=True, help="Not these rules or families.")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning"]),
    help="What gates (default: error).",
)
@click.option(
    "--strict-evidence",
    is_flag=True,
    help="A rule that cannot be judged fails the audit.",
)
@click.option(
    "--audit-baseline",
    metavar="FILE",
    help="Only findings new since this --audit-json file gate.",
)
@click.option(
    "--min-evidence",
    metavar="IDS",
    multiple=True,
    help="Rules or families that must be judged.",
)
@click.option("--live", is_flag=True, help="Also the rules that load the model (train extra).")
@click.option(
    "--live-pages",
    metavar="DIR",
    help="Your own pages for --live: images, or a ViDoRe set.",
)
@click.option("--audit-json", metavar="FILE", help="Write the audit as JSON.")
@click.option("--audit-markdown", metavar="FILE", help="Write the audit as Markdown.")
@click.option("--audit-sarif", metavar="FILE", help="Write the findings as SARIF.")
@click.option("--html", metavar="FILE", help="Write a self-contained HTML report.")
@click.option("--junitxml", metavar="FILE", help="Write a JUnit file.")
@click.option(
    "-j",
    "--jobs",
    "-n",
    type=_Jobs(),
    default=1,
    help="Judge in N processes; auto: one a core (default: 1).",
)
@click.option("-v", "--verbose", is_flag=True, help="Show every check, passed ones too.")
@click.pass_context
def audit(
    context: click.Context,
    /,
    *,
    paths: tuple[str, ...],
    checks: tuple[str, ...],
    jobs: int,
    verbose: bool,
    **options: Any,
) -> None:
    """Judge trained checkpoints by every rule, without torch, in about a second.

    PATH is a run directory, one checkpoint-N, an adapter or merged model folder, a Hub id in the
    local cache, demo or demo:NAME. Exit codes: 0 pass, 1 fail, 2 interrupted, 3 internal error,
    4 usage error, 5 inconclusive.

    \b
    Examples:
      colintern audit demo:guide-as-written --html report.html
      colintern audit runs/a runs/b --results results/mteb_evaluation
      colintern audit runs/a --select ADP,PRJ --fail-on warning
      colintern audit runs/a --live --live-pages scans/
      colintern audit runs/a --audit-json audit.json --audit-sarif audit.sarif
      colintern audit 'runs/*' --audit-baseline known.json --min-evidence RES001,LOG
      colintern audit runs/a --checks check_team.py
    """
    try:
        context.exit(_run(paths, checks, jobs, verbose=verbose, options=options))
    except KeyboardInterrupt:
        click.echo("interrupted: no verdict", err=True)
        context.exit(_INTERRUPTED)
    except (click.exceptions.Exit, click.ClickException):
        raise
    except Exception as error:
        if verbose:
            raise
        click.echo(
            f"internal error: {type(error).__name__}: {error}; no verdict. Please report it, "
            f"with what `-v` prints",
            err=True,
        )
        context.exit(_INTERNAL_ERROR)


def _run(
    paths: tuple[str, ...],
    checks: tuple[str, ...],
    jobs: int,
    *,
    verbose: bool,
    options: dict[str, Any],
) -> int:
    from colintern.engine.imports import modules_kept_for_good  # noqa: PLC0415 - for a quick --help

    with modules_kept_for_good():
        from colintern.commands.audit_run import run_audit  # noqa: PLC0415 - for a quick --help
        from colintern.engine.request import (  # noqa: PLC0415 - for a quick --help
            OUTPUTS,
            AuditRequest,
            expanded,
        )

        here = Path.cwd()
        outputs = {name: path for name in OUTPUTS if (path := options.pop(name)) is not None}
        request = AuditRequest(
            here=here,
            checkpoints=expanded(paths, here),
            outputs=outputs,
            **options,
        )
    return run_audit(request, checks, jobs, verbose=verbose)
