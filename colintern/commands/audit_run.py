"""One run of `colintern audit`: judge, write the reports, say the verdict. No pytest in it."""

import os
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NoReturn

import click

from colintern.artifacts.printable import printable
from colintern.engine.audit import Audit, loaded_audit
from colintern.engine.audit_report import AuditReport
from colintern.engine.catalogue import CHECK_FILES
from colintern.engine.outputs import tell_ci, write_outputs, written
from colintern.engine.report_store import ReportStore
from colintern.engine.reports.github_actions import WorkflowCommands
from colintern.engine.reports.terminal import Line, finding_lines, verdict_lines
from colintern.engine.request import AuditRequest, AuditSetup, UsageMistakeError, audit_setup
from colintern.engine.resolver import Provider, providers_of
from colintern.engine.subject_report import SubjectReport
from colintern.engine.workers import WorkersLostError, reports_in_turn, reports_of_workers
from colintern.live import evidence as live_evidence

PASSED: Final = 0
FAILED: Final = 1
INTERNAL_ERROR: Final = 3
USAGE_ERROR: Final = 4
INCONCLUSIVE: Final = 5
_CODES: Final = {"pass": PASSED, "fail": FAILED, "inconclusive": INCONCLUSIVE}


def run_audit(
    request: AuditRequest, checks: Sequence[str], num_processes: int, *, verbose: bool
) -> int:
    """Audit what is asked for, and return the exit code.

    Args:
        request: the options.
        checks: a team's own check files, or folders of them.
        num_processes: how many judge at once.
        verbose: show passed checks too.
    """
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        setup = audit_setup(request)
        files = list(_check_files(checks, request.here))
        providers = providers_of(live_evidence)
        audit = loaded_audit(setup, providers, files)
        return _Run(audit, verbose=verbose).finish(files, providers, num_processes)
    except UsageMistakeError as mistake:
        click.echo(f"ERROR: {mistake}", err=True)
        return USAGE_ERROR


def _interrupt(number: int, frame: object) -> NoReturn:
    """What a cancelled job sends ends the audit like Ctrl-C: in order, and without a verdict."""
    del number, frame
    raise KeyboardInterrupt


class _Run:
    """The audit as a person follows it on a terminal."""

    def __init__(self, audit: Audit, *, verbose: bool) -> None:
        self._audit = audit
        self._verbose = verbose
        self._commands = WorkflowCommands()

    def finish(
        self, checks: Sequence[Path], providers: Mapping[str, Provider], num_processes: int
    ) -> int:
        """Judge every subject, then write the reports and say the verdict."""
        if self._commands.active:
            click.echo(self._commands.stopped)
        try:
            return self._finish(checks, providers, num_processes)
        finally:
            if self._commands.active:
                click.echo(self._commands.resumed)

    def _finish(
        self, checks: Sequence[Path], providers: Mapping[str, Provider], num_processes: int
    ) -> int:
        setup = self._audit.setup
        _say((line, {}) for line in _header(self._audit))
        if num_processes > 1 and len(setup.subjects) > 1:
            reports = reports_of_workers(self._audit, checks, providers, num_processes)
        else:
            reports = reports_in_turn(self._audit)
        store = ReportStore()
        try:
            for report in _with_progress(reports, setup):
                store.append(report)
                self._tell(report)
        except WorkersLostError as error:
            self._audit.breakdowns.append(str(error))
        return self._conclude(self._audit.report(store))

    def _tell(self, report: SubjectReport) -> None:
        if lines := list(finding_lines(report, verbose=self._verbose)):
            _say([(f"findings: {report.identity.name}", {"bold": True}), *lines])

    def _conclude(self, report: AuditReport) -> int:
        unwritten = [*write_outputs(self._audit.setup.outputs, report), *self._write_page(report)]
        _say((line, {"red": True}) for line in unwritten)
        _say((line, {}) for line in tell_ci(report, self._commands))
        _say(verdict_lines(report))
        # Whoever waits for a report must not take its absence for a verdict.
        return INTERNAL_ERROR if unwritten else _CODES[report.verdict]

    def _write_page(self, report: AuditReport) -> Iterator[str]:
        path = self._audit.setup.outputs.get("html")
        if path is not None:
            from colintern.engine.reports.html.page import (  # noqa: PLC0415 - rarely needed
                html_report,
            )

            yield from written(path, [html_report(report, self._audit.evidence)])


def _header(audit: Audit) -> Iterator[str]:
    first, *others = audit.policy.lines()
    yield f"colintern audit, {first}"
    yield from others
    for subject in audit.setup.subjects:
        yield f"subject: {subject.name} ({printable(subject.path, limit=1_000)})"


def _with_progress(reports: Iterable[SubjectReport], setup: AuditSetup) -> Iterable[SubjectReport]:
    """Show a bar while many subjects are judged, where a person looks on."""
    number = len(setup.subjects)
    if number == 1 or not sys.stderr.isatty():
        yield from reports
        return
    with click.progressbar(
        reports, length=number, label="judged", file=sys.stderr, show_pos=True
    ) as shown:
        yield from shown


def _say(lines: Iterable[Line]) -> None:
    for text, markup in lines:
        click.echo(click.style(text, bold=markup.get("bold"), fg=_colour(markup)))


def _colour(markup: Mapping[str, bool]) -> str | None:
    return next((name for name in ("red", "green", "yellow", "blue") if markup.get(name)), None)


def _check_files(named: Sequence[str], here: Path) -> Iterator[Path]:
    for name in named:
        path = Path(os.path.abspath(here / Path(name).expanduser()))  # noqa: PTH100 - keeps links
        if path.is_dir():
            found = sorted(path.rglob(CHECK_FILES))
            if not found:
                raise UsageMistakeError(f"--checks {printable(name)}: holds no {CHECK_FILES}")
            yield from found
        elif path.is_file():
            yield path
        else:
            raise UsageMistakeError(f"--checks {printable(name)}: no such file or folder")
