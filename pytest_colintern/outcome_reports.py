"""Our eight outcomes in the reports of pytest, which knows three."""

from typing import Final

import msgspec
import pytest

from colintern.engine.outcome import Outcome
from colintern.engine.reports.finding_text import finding_text
from colintern.engine.reports.junit_report import SKIPPED, skip_reason
from pytest_colintern.rule_item import RuleItem

_LETTERS: Final = {
    Outcome.PASSED: (".", {"green": True}),
    Outcome.FAILED: ("F", {"red": True}),
    Outcome.WARNED: ("w", {"yellow": True}),
    Outcome.NOTED: ("i", {"blue": True}),
    Outcome.NO_EVIDENCE: ("n", {"yellow": True}),
    Outcome.BLOCKED: ("b", {"yellow": True}),
    Outcome.WAIVED: ("v", {"yellow": True}),
    Outcome.ERROR: ("E", {"red": True}),
}


def letters_text() -> str:
    """Explain the letters that stand for the outcomes while the audit runs."""
    return ", ".join(f"{letter} {outcome.label}" for outcome, (letter, _) in _LETTERS.items())


class OutcomeReports:
    """Turns results into pytest's reports, and shows them as ours."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> pytest.TestReport | None:
        """Turn a result into pytest's report; ours travels beside pytest's own outcome."""
        if not isinstance(item, RuleItem) or call.when != "call" or item.result is None:
            return None
        result = item.result
        report = pytest.TestReport.from_item_and_call(item, call)
        if result.gates:
            report.outcome = "failed"
            report.longrepr = finding_text(result)
            if result.outcome is Outcome.ERROR:
                # What pytest calls an error, not a failure: so JUnit and others tell it.
                report.when = "setup"
        elif result.outcome in SKIPPED:
            report.outcome = "skipped"
            place = str(item.path), item.reportinfo()[1] + 1
            report.longrepr = (*place, skip_reason(result))
        report.colintern = msgspec.to_builtins(result)  # type: ignore[attr-defined]
        return report

    def pytest_report_teststatus(
        self, report: pytest.CollectReport | pytest.TestReport
    ) -> tuple[str, str, tuple[str, dict[str, bool]]] | None:
        """Show the eight outcomes instead of pytest's three."""
        if (found := getattr(report, "colintern", None)) is None:
            return None
        outcome = Outcome(found["outcome"])
        letter, markup = _LETTERS[outcome]
        return outcome.label, letter, (outcome.label.upper(), markup)
