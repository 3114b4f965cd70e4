"""Running the audit in a test, as a person runs it."""

import json
from dataclasses import dataclass
from pathlib import Path

import hypothesis

from colintern.engine.providers import shipped_providers
from pytest_colintern import session

# pytester forgets every module that a run imports: numpy cannot be imported twice, and hypothesis
# (whose plugin wakes up in every run) takes a second.
PRELOADED = (hypothesis, session, shipped_providers())

CHECKS = Path(__file__).parents[2] / "checks"


@dataclass(frozen=True)
class Audit:
    exit_code: int
    output: str
    document: dict

    @property
    def outcomes(self):
        return {check["rule"]: check["outcome"] for check in self.document["checks"]}

    @property
    def roots(self):
        return [root["rule"] for root in self.document["root_causes"]]

    def of_outcome(self, *names):
        return sorted(rule for rule, outcome in self.outcomes.items() if outcome in names)

    def check(self, rule):
        return next(check for check in self.document["checks"] if check["rule"] == rule)


def audit(pytester, *arguments, checks=CHECKS):
    """Audit in this process; `document` is the JSON report."""
    report = pytester.path / "audit.json"
    report.unlink(missing_ok=True)
    result = pytester.runpytest_inprocess(
        str(checks), "-p", "no:cacheprovider", f"--audit-json={report}", *map(str, arguments)
    )
    document = json.loads(report.read_text()) if report.exists() else {}
    return Audit(int(result.ret), result.stdout.str() + result.stderr.str(), document)
