"""The audit inside pytest: collecting rules, judging them, and telling the verdict."""

from collections import Counter
from collections.abc import Generator, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from colintern.artifacts.printable import printable
from colintern.engine.audit import Audit
from colintern.engine.audit_report import AuditReport
from colintern.engine.catalogue import LIVE_CHECKS, shipped_file, shipped_files
from colintern.engine.judge import Judge
from colintern.engine.outcome import CheckResult
from colintern.engine.outputs import tell_ci, write_outputs
from colintern.engine.report_store import ReportStore
from colintern.engine.reports.github_actions import WorkflowCommands
from colintern.engine.reports.terminal import Line, finding_lines, verdict_lines
from colintern.engine.resolver import providers_of
from colintern.engine.subjects import Subject
from colintern.live import evidence as live_evidence
from pytest_colintern.evidence_fixtures import offer_evidence_fixtures
from pytest_colintern.outcome_reports import OutcomeReports, letters_text
from pytest_colintern.request import setup_of
from pytest_colintern.rule_item import RuleFile, RuleItem

EXIT_INCONCLUSIVE: Final = pytest.ExitCode.NO_TESTS_COLLECTED
"""5: nothing was judged, as pytest says it when there was nothing to test."""

_REPLACEABLE: Final = (
    pytest.ExitCode.OK,
    pytest.ExitCode.TESTS_FAILED,
    pytest.ExitCode.NO_TESTS_COLLECTED,
)
"""Exit codes that the verdict replaces; an interruption or a usage error stays."""


def register_audit(config: pytest.Config) -> None:
    """Turn this pytest session into an audit.

    Raises:
        pytest.UsageError: an option or a setting cannot be used.
    """
    audit = Audit(setup_of(config), providers_of(live_evidence))
    config.option.reportchars = ""
    session = AuditSession(config, audit)
    plugins = config.pluginmanager
    plugins.register(session, "colintern-audit")
    plugins.register(OutcomeReports(), "colintern-outcomes")
    if "html" in audit.setup.outputs:
        from pytest_colintern.html_plugin import HtmlReport  # noqa: PLC0415 - rarely needed

        page = HtmlReport(config, lambda: session.report, audit.evidence, session.note_unwritten)
        plugins.register(page, "colintern-html")
    if plugins.has_plugin("xdist"):
        from pytest_colintern.workers import WorkerHooks  # noqa: PLC0415 - where xdist is

        plugins.register(WorkerHooks(), "colintern-workers")
    if config.getoption("showfixtures"):
        offer_evidence_fixtures(config)


class AuditSession:
    """One audit. With xdist every worker judges, and only the controller tells the verdict."""

    def __init__(self, config: pytest.Config, audit: Audit) -> None:
        """Start from an audit with the shipped rules."""
        self._config = config
        self._audit = audit
        self._judges: dict[Subject, Judge] = {}
        self._left: Counter[Subject] = Counter()
        self._results: dict[str, list[CheckResult]] = {}
        self._collected_all = True
        self._unwritten: list[str] = []
        self._commands = WorkflowCommands()
        self._is_worker = hasattr(config, "workerinput")
        self.report: AuditReport | None = None
        """The audit, or None before its verdict."""

    def note_unwritten(self, problem: str) -> None:
        """Remember that a report could not be written, and why."""
        self._unwritten.append(problem)

    def pytest_report_header(self) -> list[str]:
        """Name the policy's file and the subjects."""
        first, *others = self._audit.policy.lines()
        subjects = [
            f"subject: {subject.name} ({printable(subject.path, limit=1_000)})"
            for subject in self._audit.setup.subjects
        ]
        return [f"colintern audit, {first}", *others, *subjects, letters_text()]

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Leave everything but `check_*.py` files uncollected: an audit runs no other tests."""
        if collection_path.is_dir():
            return None
        return None if _is_check_file(collection_path) else True

    def pytest_collect_file(self, file_path: Path, parent: pytest.Collector) -> RuleFile | None:
        """Collect the rules of a check file."""
        if not _is_check_file(file_path) or self._is_left_out(file_path):
            return None
        file: RuleFile = RuleFile.from_parent(parent, path=file_path)
        file.subjects = self._audit.setup.subjects
        file.selected = self._audit.setup.selected
        file.judges = self._judge
        file.register = self._register
        file.offer_fixtures = lambda: offer_evidence_fixtures(self._config)
        return file

    def _is_left_out(self, path: Path) -> bool:
        """The live rules load the model, which nothing does unasked."""
        return not self._audit.setup.options.live and (
            path.match(LIVE_CHECKS) and shipped_file(path) == shipped_files().get(path.name)
        )

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Remember that a check file could not be collected."""
        if report.failed:
            self._collected_all = False
            self._note_breakdown(report)

    def pytest_pycollect_makemodule(
        self, module_path: Path, parent: pytest.Collector
    ) -> pytest.Collector | None:
        """Keep pytest from collecting a check file that was named on the command line as tests."""
        return (
            _Nothing.from_parent(parent, path=module_path) if _is_check_file(module_path) else None
        )

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Refuse ids that do not exist (a typo must not be silent); judge subject by subject."""
        if mistakes := self._audit.mistakes:
            raise pytest.UsageError("\n".join(mistakes))
        place = {subject: number for number, subject in enumerate(self._audit.setup.subjects)}
        rules = [item for item in items if isinstance(item, RuleItem)]
        rules.sort(key=lambda rule: place[rule.subject])
        items[:] = rules

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count what is to be judged of each subject: its evidence can go with its last rule."""
        self._left = Counter(item.subject for item in session.items if isinstance(item, RuleItem))

    def pytest_runtest_logfinish(self) -> None:
        """Let the evidence of a subject go after its last rule."""
        for subject in [subject for subject, number in self._left.items() if not number]:
            del self._left[subject]
            if len(self._audit.setup.subjects) > 1:
                self._judges.pop(subject, None)

    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        """Count down."""
        if isinstance(item, RuleItem):
            self._left[item.subject] -= 1

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather results; under xdist this is where they arrive from the workers."""
        if (found := getattr(report, "colintern", None)) is not None:
            result = msgspec.convert(found, CheckResult)
            self._results.setdefault(result.subject, []).append(result)
        elif report.failed:
            self._note_breakdown(report)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionstart(self) -> Generator[None, object, object]:
        """Stop the commands of a CI service before anything is printed."""
        self._stop_commands(self._commands.stopped)
        return (yield)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int
    ) -> Generator[None, object, object]:
        """Decide the verdict, write the outputs, and have the last word on the terminal."""
        is_audit = not (self._is_worker or self._config.getoption("collectonly"))
        if self._collected_all and is_audit:
            # The audit prints its findings: pytest's own summary repeats each and is quadratic.
            self._config.option.tbstyle = "no"
        try:
            if is_audit and exitstatus in _REPLACEABLE:
                self._decide(session)
            outcome = yield
            if is_audit:
                self._conclude(session)
        finally:
            self._stop_commands(self._commands.resumed)
        return outcome

    def pytest_terminal_summary(self) -> None:
        """Print the findings."""
        if self.report is not None:
            verbose = self._config.get_verbosity() > 0
            self._print(_findings(self.report, verbose=verbose), "findings")

    def _decide(self, session: pytest.Session) -> None:
        store = ReportStore()
        for subject in self._audit.setup.subjects:
            store.append(self._audit.report_of(subject, self._results.pop(subject.name, [])))
        self.report = self._audit.report(store)
        codes = {"pass": pytest.ExitCode.OK, "fail": pytest.ExitCode.TESTS_FAILED}
        session.exitstatus = codes.get(self.report.verdict, EXIT_INCONCLUSIVE)
        self._unwritten += write_outputs(self._audit.setup.outputs, self.report)

    def _conclude(self, session: pytest.Session) -> None:
        if self._unwritten:
            self._print([(line, {"red": True}) for line in self._unwritten], "reports")
        if self.report is not None:
            if self._unwritten:
                # Whoever waits for a report must not take its absence for a verdict.
                session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            told = tell_ci(self.report, self._commands)
            self._print([(line, {}) for line in told], "annotations")
            self._print(list(verdict_lines(self.report)), "audit")

    def _judge(self, subject: Subject) -> Judge:
        if subject not in self._judges:
            self._judges[subject] = self._audit.judge(subject)
        return self._judges[subject]

    def _register(self, file: RuleFile) -> frozenset[str]:
        """Take a file's rules and evidence in; return the names of all evidence so far."""
        self._audit.register(file.rules.values(), file.providers)
        return self._audit.evidence_names

    def _note_breakdown(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        """Remember what failed without a result: a lost worker, a fixture, a broken check file."""
        reason = report.longreprtext.strip().split("\n")[-1] or "failed"
        self._audit.breakdowns.append(printable(f"{report.nodeid}: {reason}"))

    def _stop_commands(self, line: str) -> None:
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is not None and self._commands.active and not self._is_worker:
            terminal.write_line(line)

    def _print(self, lines: Iterable[Line], title: str) -> None:
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        has_title = False
        for text, markup in lines if terminal is not None else ():
            if not has_title:
                terminal.section(title)
                has_title = True
            terminal.line(text, **markup)


def _findings(report: AuditReport, *, verbose: bool) -> Iterable[Line]:
    for subject in report.subjects:
        yield from finding_lines(subject, verbose=verbose)


class _Nothing(pytest.File):
    """Stands for the module that pytest would have made of a check file."""

    def collect(self) -> list[pytest.Item]:
        """Collect nothing."""
        return []


def _is_check_file(path: Path) -> bool:
    return path.name.startswith("check_") and path.suffix == ".py"
