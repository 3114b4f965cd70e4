"""The audit as one HTML page: everything escaped, nothing loaded, one script of our own."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from jinja2 import Template
from markupsafe import Markup

from colintern.engine.audit_report import AuditReport
from colintern.engine.outcome import Outcome
from colintern.engine.reports.html import sections
from colintern.engine.reports.html.data import OUTCOME_ORDER, audit_data
from colintern.engine.reports.html.figures import MOST_SUBJECTS, SubjectFigures, subject_figures
from colintern.engine.reports.missing_evidence import missing_evidence
from colintern.engine.resolver import Resolver
from colintern.figures.page_shell import html_page, templates

ASSETS: Final = Path(__file__).parent

OUTCOME_MEANINGS: Final = {
    Outcome.FAILED: "wrong, and at or above the gate",
    Outcome.ERROR: "the rule itself broke: always gates",
    Outcome.WARNED: "wrong, but below the gate",
    Outcome.NOTED: "worth knowing: never gates",
    Outcome.WAIVED: "wrong, and accepted for a written reason",
    Outcome.NO_EVIDENCE: "not judged: something was not recorded",
    Outcome.BLOCKED: "not judged: a rule it rests on has failed",
    Outcome.PASSED: "as it should be",
}


def report_block(
    report: AuditReport, figures: Sequence[SubjectFigures], *, written: datetime
) -> str:
    """Render the audit as the body of a page; every text in it is escaped."""
    return _template("report.jinja2").render(
        report=report,
        figures=figures,
        written=written,
        subjects=report.summaries,
        several=len(report.subjects) > 1,
        verdict=sections.VERDICT_WORDS[report.verdict],
        verdict_words=sections.VERDICT_WORDS,
        headline=sections.headline(report),
        outcomes=[(outcome, getattr(report.counts, outcome.value)) for outcome in OUTCOME_ORDER],
        meanings=OUTCOME_MEANINGS,
        groups=sections.root_groups(report),
        broken=sections.broken_rules(report),
        findings=sections.findings_by_subject(report) if len(report.subjects) > 1 else [],
        missing=missing_evidence(report.subjects),
        blocked=sections.blocked_rules(report.subjects),
        most=sections,
        # Escaped as JSON; HTML entities would not be read inside a script block.
        data=Markup(audit_data(report)),  # noqa: S704 - as above
    )


def html_report(report: AuditReport, evidence: Callable[[str], Resolver]) -> str:
    """Render the whole page.

    Args:
        report: the audit.
        evidence: returns the evidence of the subject of a name, which figures are drawn from.
    """
    return page(page_title(report), [drawn_block(report, evidence)])


def drawn_block(report: AuditReport, evidence: Callable[[str], Resolver]) -> str:
    """Draw the figures of the worst subjects, and render the audit as the body of a page."""
    names = [subject.identity.name for subject in report.summaries[:MOST_SUBJECTS]]
    figures = [subject_figures(name, evidence(name)) for name in names]
    return report_block(report, figures, written=datetime.now().astimezone())


def unfinished_block() -> str:
    """Render the page of an audit that did not come to a verdict."""
    return _template("unfinished.jinja2").render()


def page(title: str, blocks: Sequence[str]) -> str:
    """Put blocks of HTML into a page of their own, with a policy that lets only our script run."""
    return html_page(title, blocks, style=_asset("report.css"), script=_asset("report.js"))


def page_title(report: AuditReport | None) -> str:
    """Return what the browser's tab says."""
    if report is None:
        return "ColIntern audit: no verdict"
    names = [subject.identity.name for subject in report.subjects.summaries]
    subject = names[0] if len(names) == 1 else f"{len(names)} subjects"
    return f"{sections.VERDICT_WORDS[report.verdict]}: {subject} (ColIntern audit)"


def _template(name: str) -> Template:
    return templates(ASSETS).get_template(name)


def _asset(name: str) -> str:
    return ASSETS.joinpath(name).read_text("utf-8")
