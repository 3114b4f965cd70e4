"""The audit inside pytest: collecting rules, judging them, and telling the verdict."""

import time
from collections.abc import Generator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from colintern.artifacts.printable import printable
from colintern.engine.audit_report import AuditReport, SubjectIdentity, audit_report
from colintern.engine.catalogue import (
    LIVE_CHECKS,
    merged_rules,
    shipped_file,
    shipped_files,
    shipped_rules,
)
from colintern.engine.identity import subject_identity
from colintern.engine.judge import Judge
from colintern.engine.outcome import CheckResult
from colintern.engine.policy_in_force import policy_in_force
from colintern.engine.providers import GIVEN, judge_of, shipped_providers
from colintern.engine.reports.github_actions import WorkflowCommands
from colintern.engine.reports.terminal import finding_lines, verdict_lines
from colintern.engine.resolver import Provider, Resolver, providers_of
from colintern.engine.subjects import Subject
from colintern.live import evidence as live_evidence
from pytest_colintern.audit_mistakes import audit_mistakes
from pytest_colintern.evidence_fixtures import offer_evidence_fixtures
from pytest_colintern.outcome_reports import OutcomeReports, letters_text
from pytest_colintern.outputs import tell_ci, write_outputs
from pytest_colintern.rule_item import RuleFile, RuleItem
from pytest_colintern.setup import AuditSetup, audit_setup

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
    setup = audit_setup(config)
    config.option.reportchars = ""
    commands = WorkflowCommands(config)
    session = AuditSession(config, setup, commands)
    config.pluginmanager.register(session, "colintern-audit")
    if commands.active:
        config.pluginmanager.register(commands, "colintern-workflow-commands")
    config.pluginmanager.register(OutcomeReports(), "colintern-outcomes")
    if config.getoption("htmlpath", default=None) is not None and not commands.is_worker:
        from pytest_colintern.html_plugin import register_html  # noqa: PLC0415 - rarely needed

        register_html(config, lambda: session.report, session.evidence, session.note_unwritten)
    if config.getoption("showfixtures"):
        offer_evidence_fixtures(config)


class AuditSession:
    """One audit. With xdist every worker judges, and only the controller tells the verdict."""

    def __init__(
        self, config: pytest.Config, setup: AuditSetup, commands: WorkflowCommands
    ) -> None:
        """Start from a checked setup."""
        self._config = config
        self._setup = setup
        self._start = time.perf_counter()
        self._catalogue = shipped_rules()
        self._providers: dict[str, Provider] = providers_of(live_evidence)
        self._judges: dict[Subject, Judge] = {}
        self._results: dict[tuple[str, str], CheckResult] = {}
        self._report: AuditReport | None = None
        self._collected_all = True
        self._breakdowns: list[str] = []
        self._unwritten: list[str] = []
        self._commands = commands
        self._policy = policy_in_force(setup.policy, setup.settings, setup.audit_baseline)

    @property
    def report(self) -> AuditReport | None:
        """The audit, or None before its verdict."""
        return self._report

    def evidence(self, name: str) -> Resolver:
        """Return the evidence of the subject called `name`."""
        subject = next(subject for subject in self._setup.subjects if subject.name == name)
        return self._judge(subject).resolver

    def note_unwritten(self, problem: str) -> None:
        """Remember that a report could not be written, and why."""
        self._unwritten.append(problem)

    def pytest_report_header(self) -> list[str]:
        """Name the policy's file and the subjects."""
        first, *others = self._policy.lines()
        subjects = [
            f"subject: {subject.name} ({printable(subject.path, limit=1_000)})"
            for subject in self._setup.subjects
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
        file.subjects = self._setup.subjects
        file.selected = self._setup.selected
        file.judges = self._judge
        file.register = self._register
        file.offer_fixtures = lambda: offer_evidence_fixtures(self._config)
        return file

    def _is_left_out(self, path: Path) -> bool:
        """The live rules load the model, which nothing does unasked."""
        return not self._setup.options.live and (
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
        """Refuse ids that do not exist: a typo must not be silent."""
        mistakes = audit_mistakes(
            self._setup, self._catalogue, live=self._config.getoption("colintern_live")
        )
        if mistakes:
            raise pytest.UsageError("\n".join(mistakes))
        items[:] = [item for item in items if isinstance(item, RuleItem)]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Gather results; under xdist this is where they arrive from the workers."""
        if (found := getattr(report, "colintern", None)) is not None:
            result = msgspec.convert(found, CheckResult)
            self._results[result.subject, result.rule] = result
        elif report.failed:
            self._note_breakdown(report)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(
        self, session: pytest.Session, exitstatus: int
    ) -> Generator[None, object, object]:
        """Decide the verdict, write the outputs, and have the last word on the terminal."""
        if hasattr(self._config, "workerinput") or self._config.getoption("collectonly"):
            return (yield)
        if self._collected_all:
            # The audit prints its findings: pytest's own summary repeats each and is quadratic.
            self._config.option.tbstyle = "no"
        if exitstatus in _REPLACEABLE:
            self._report = self._make_report()
            codes = {"pass": pytest.ExitCode.OK, "fail": pytest.ExitCode.TESTS_FAILED}
            session.exitstatus = codes.get(self._report.verdict, EXIT_INCONCLUSIVE)
            self._unwritten += write_outputs(self._config, self._report)
        outcome = yield
        if self._unwritten:
            self._print([(line, {"red": True}) for line in self._unwritten], "reports")
        if self._report is not None:
            if self._unwritten:
                # Whoever waits for a report must not take its absence for a verdict.
                session.exitstatus = pytest.ExitCode.INTERNAL_ERROR
            told = tell_ci(self._report, self._commands)
            self._print([(line, {}) for line in told], "annotations")
            self._print(list(verdict_lines(self._report)), "audit")
        return outcome

    def pytest_terminal_summary(self) -> None:
        """Print the findings."""
        if self._report is not None:
            verbose = self._config.get_verbosity() > 0
            self._print(list(finding_lines(self._report, verbose=verbose)), "findings")

    def _judge(self, subject: Subject) -> Judge:
        if subject not in self._judges:
            setup = self._setup
            self._judges[subject] = judge_of(
                subject, setup.options, self._catalogue, setup.policy, self._providers
            )
        return self._judges[subject]

    def _register(self, file: RuleFile) -> frozenset[str]:
        """Take a file's rules and evidence in; return the names of all evidence so far."""
        self._catalogue = merged_rules([self._catalogue.values(), file.rules.values()])
        self._providers |= file.providers
        return frozenset({*GIVEN, *shipped_providers(), *self._providers})

    def _note_breakdown(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        """Remember what failed without a result: a lost worker, a fixture, a broken check file."""
        reason = report.longreprtext.strip().split("\n")[-1] or "failed"
        self._breakdowns.append(printable(f"{report.nodeid}: {reason}"))

    def _make_report(self) -> AuditReport:
        return audit_report(
            [self._identity(subject) for subject in self._setup.subjects],
            self._results.values(),
            duration_seconds=time.perf_counter() - self._start,
            policy=self._policy,
            breakdowns=tuple(self._breakdowns),
        )

    def _identity(self, subject: Subject) -> SubjectIdentity:
        return subject_identity(subject, self._judge(subject).resolver)

    def _print(self, lines: list[tuple[str, dict[str, bool]]], title: str) -> None:
        terminal: Any = self._config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None or not lines:
            return
        terminal.section(title)
        for text, markup in lines:
            terminal.line(text, **markup)


class _Nothing(pytest.File):
    """Stands for the module that pytest would have made of a check file."""

    def collect(self) -> list[pytest.Item]:
        """Collect nothing."""
        return []


def _is_check_file(path: Path) -> bool:
    return path.name.startswith("check_") and path.suffix == ".py"
