"""Reports of any size and of any malice, made from records; and a browser that shows them."""

from contextlib import contextmanager
from datetime import UTC, datetime

import pytest

from colintern.engine.missing import Missing
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.reports.html.page import page, page_title, report_block
from colintern.engine.subject_report import SubjectIdentity
from colintern.engine.verdict import ERROR, INFO, WARNING
from support.audit_reports import report_of

CHROMIUM = "/usr/bin/chromium"
_SEVERITIES = (ERROR, WARNING, INFO)
HOSTILE = (
    "<script>document.title='ran'; alert(1)</script>",
    "<img src=x onerror=\"document.title='ran'; alert(1)\">",
    "</script><script>alert(1)</script>",
    "<!--<script>",
    '"><svg onload=alert(1)>',
    "javascript:alert(1)",
    "{{ 7 * 7 }}{% raw %}",
    "`<b>bold</b>`",
    "&lt;script&gt;&#x3C;",
    "\\x1b[31mred\\u202egnp.exe",
    '=HYPERLINK("http://attacker.example")',
    "https://attacker.example/pixel.png",
)


def result(number, subject, outcome, **fields):
    values = {
        "rule": f"TEAM{number:04}",
        "name": f"fault-{number}",
        "family": "TEAM",
        "severity": _SEVERITIES[number % 3],
        "subject": subject,
        "outcome": outcome,
        "gates": outcome in (Outcome.FAILED, Outcome.ERROR),
        "summary": f"Fault {number} of `something`.",
        "observed": f"figure {number} of {subject}",
        "expected": "another figure",
        "where": f"/runs/{subject}/trainer_state.json",
        "why": "Because it costs points. " * 8,
        "evidence": "the log",
        "fix": f"turn screw {number}",
        "source": "definition",
        "blocked_by": None,
        "waiver": None,
        "known": False,
        "requires": (),
        "explains": (),
        "stage": number % 11,
        "duration_seconds": 0.0,
    }
    if outcome is Outcome.NO_EVIDENCE:
        values["missing"] = Missing(source="some.json", purpose=f"figure {number} of {subject}")
    values |= fields
    if values.get("missing") is not None:
        values["observed"] = values["missing"].sentence
    usual = {"may_explain": values["explains"], "usual_fix": values["fix"]}
    return CheckResult(**usual | values)


def made_report(subjects, results):
    identities = [
        SubjectIdentity(name=name, path=f"/runs/{name}", kind="run", family=name, base_model=name)
        for name in subjects
    ]
    return report_of(identities, results)


def large_report(num_checks=1_000, num_subjects=10):
    subjects = [f"run-{index}" for index in range(num_subjects)]
    outcomes = list(Outcome)
    return made_report(
        subjects,
        [
            result(
                number,
                subject,
                outcomes[(number + index) % 8],
                observed=f"figure {number} of {subject}; " + "as long as most are, " * 8,
            )
            for index, subject in enumerate(subjects)
            for number in range(num_checks)
        ],
    )


def hostile_report():
    texts = ("name", "summary", "observed", "expected", "where", "why", "evidence", "fix", "source")
    results = [
        result(index * 10 + place, subject, outcome, **dict.fromkeys((*texts, "waiver"), subject))
        for index, subject in enumerate(HOSTILE)
        for place, outcome in enumerate(Outcome)
    ]
    return made_report(HOSTILE, results)


def written_page(path, report, figures=()):
    block = report_block(report, figures, written=datetime(2026, 1, 1, tzinfo=UTC))
    path.write_text(page(page_title(report), [block]), encoding="utf-8")
    return path


class Tab:
    """One page in Chromium, and everything that it did."""

    def __init__(self, page):
        self.page = page
        self.trouble = []
        page.on("console", lambda message: self.trouble.append(message.text))
        page.on("pageerror", lambda error: self.trouble.append(str(error)))
        page.on("dialog", lambda dialog: (self.trouble.append("dialog"), dialog.dismiss()))
        page.on("request", self._note)

    def _note(self, request):
        if not request.url.startswith("file:"):
            self.trouble.append(f"request for {request.url}")

    def open(self, path):
        self.page.goto(path.as_uri())
        return self

    def cpu_seconds(self, action):
        """Do something and return the time that the page's main thread was on a core for it."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("Performance.enable", {"timeDomain": "threadTicks"})
        action()
        metrics = session.send("Performance.getMetrics")["metrics"]
        return next(each["value"] for each in metrics if each["name"] == "TaskDuration")

    def wait_for_rows(self, number):
        expect = pytest.importorskip("playwright.sync_api").expect
        expect(self.page.locator("tr.row")).to_have_count(number)

    @property
    def rows(self):
        return self.page.locator("tr.row").count()


@contextmanager
def chromium():
    with pytest.importorskip("playwright.sync_api").sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()
