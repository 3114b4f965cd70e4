# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern watch`: a run that trains, seen from another terminal."""

from typing import TYPE_CHECKING, Any

import click

from colintern.commands.options import CONTEXT

if TYPE_CHECKING:
    from pathlib import Path

_PIPE_WIDTH = 2_000

LEFT = 130
"""Exit code after Ctrl-C: 128 + SIGINT."""


@click.command(context_settings=CONTEXT)
@click.argument("run", metavar="RUN")
@click.option("--once", is_flag=True, help="Show the state once and leave.")
@click.option(
    "--interval",
    type=click.FloatRange(0.2, 3600),
    default=2.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks.",
)
@click.pass_context
def watch(context: click.Context, /, run: str, *, once: bool, interval: float) -> None:
    """Follow the run in the folder RUN: progress, losses, time left, memory, verdicts.

    RUN may not exist yet; watching ends with the run. Any Trainer's folder will do: without a live
    audit (`colintern train` has one, other Trainers take `colintern.training.AuditCallback`) its
    newest checkpoint is judged. In a pipe, a line is written for each change. Needs no torch.
    Exit codes: 0 the run has ended, or --once, 2 usage error, 130 left with Ctrl-C.

    \b
    Examples:
      colintern watch runs/colintern-1b
      colintern watch runs/colintern-1b --once
      colintern watch runs/colintern-1b --interval 30 | tee watch.log
    """
    import os  # noqa: PLC0415 - for a quick --help
    from pathlib import Path  # noqa: PLC0415

    if os.path.isfile(run):  # noqa: PTH113 - Path.is_file raises without permission
        raise click.UsageError("RUN must be the folder of a run, but it is a file")
    try:
        if once:
            _show(Path(run))
        else:
            _follow(Path(run), interval)
    except KeyboardInterrupt:
        click.echo()
        context.exit(LEFT)


def _show(path: "Path") -> None:
    import time  # noqa: PLC0415 - for a quick --help

    from colintern.artifacts.running.run import read_running_run  # noqa: PLC0415
    from colintern.engine.running.findings import findings_of  # noqa: PLC0415
    from colintern.report.watch_screen import screen  # noqa: PLC0415

    run = read_running_run(path)
    _echo("\n".join(screen(run, findings_of(run), _style(), time.time())) + "\n")


def _follow(path: "Path", interval: float) -> None:
    import time  # noqa: PLC0415 - for a quick --help

    from colintern.artifacts.running.run import read_running_run  # noqa: PLC0415
    from colintern.engine.running.findings import findings_of  # noqa: PLC0415
    from colintern.report.watch_screen import status_of  # noqa: PLC0415

    display = _Redrawn() if _can_redraw() else _Lines()
    while True:
        run, now = read_running_run(path), time.time()
        display.show(run, findings_of(run), now)
        if status_of(run, now)[1]:
            return
        time.sleep(interval)


class _Redrawn:
    """The whole screen, drawn over the one before."""

    def __init__(self) -> None:
        _echo("\x1b[2J")

    def show(self, run: Any, findings: Any, now: float) -> None:
        from colintern.report.watch_screen import screen  # noqa: PLC0415 - for a quick --help

        lines = screen(run, findings, _style(), now)
        _echo("\x1b[H" + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J")


class _Lines:
    """A line for each change, and one for each finding when it comes."""

    def __init__(self) -> None:
        self._told: set[tuple[str, str]] = set()
        self._last = ""
        self._step: object = None

    def show(self, run: Any, findings: Any, now: float) -> None:
        from colintern.report.watch_screen import news, status_of  # noqa: PLC0415 - as above

        step, status = run.rows[-1:] or None, status_of(run, now)[0].partition(" for ")[0]
        if (step, status) != (self._step, self._last):
            self._step, self._last = step, status
            _echo(f"{news(run, now)}\n")
        for each in findings:
            if (each.rule, each.severity) not in self._told:
                self._told.add((each.rule, each.severity))
                _echo(f"  {each.text}\n")


def _echo(text: str) -> None:
    """Write `text`; a character that the terminal lacks becomes an escape, not an error."""
    import sys  # noqa: PLC0415 - for a quick --help

    encoding = sys.stdout.encoding or "ascii"
    click.echo(text.encode(encoding, "backslashreplace").decode(encoding), nl=False)


def _can_redraw() -> bool:
    import os  # noqa: PLC0415 - for a quick --help
    import sys  # noqa: PLC0415

    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"


def _style() -> Any:
    import shutil  # noqa: PLC0415 - for a quick --help
    import sys  # noqa: PLC0415

    from colintern.figures.sparkline import BLOCKS  # noqa: PLC0415
    from colintern.report.watch_screen import Style  # noqa: PLC0415

    # Lines are cut to a terminal only: in a file nothing is lost.
    width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else _PIPE_WIDTH
    try:
        BLOCKS.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return Style(width=width, blocks=False)
    return Style(width=width, blocks=True)
