"""The audit in a report: its counts, every finding, and what was not judged and why."""

from collections.abc import Sequence
from typing import Final

from colintern.artifacts.printable import printable
from colintern.engine.outcome import CheckResult, Outcome
from colintern.engine.part import LeftOut
from colintern.engine.reports.missing_evidence import missing_evidence
from colintern.report.document import Absences, Block, Cell, Paragraph, Section, Table
from colintern.report.reported_run import ReportedRun, head, mark_of, short_head

MOST_FINDINGS: Final = 60
MOST_MISSING: Final = 20
_SHOWN: Final = (
    Outcome.FAILED,
    Outcome.ERROR,
    Outcome.WARNED,
    Outcome.NOTED,
    Outcome.WAIVED,
)
_MOST_RULES: Final = 8
_CELL: Final = 240
"""Characters of one observation beside those of other runs."""


def audit_section(runs: Sequence[ReportedRun]) -> Section:
    """Show verdict, findings and gaps of every run."""
    blocks: list[Block] = [Paragraph(counts_line(run)) for run in runs]
    findings = _findings(runs)
    if findings:
        table = _alone(runs[0], findings) if len(runs) == 1 else _together(runs, findings)
        blocks.append(table)
    if len(findings) == MOST_FINDINGS:
        blocks.append(Paragraph("More findings than are shown: `colintern audit` lists them all."))
    missing = missing_evidence([run.audit for run in runs])
    if missing:
        blocks.append(Paragraph("Not judged, and what would let it be:"))
        blocks.append(
            Absences(
                tuple(
                    LeftOut(
                        printable(item.short, limit=160),
                        f"needed for {_rules(item.rules)}",
                        item.hint,
                    )
                    for item in missing[:MOST_MISSING]
                )
            )
        )
    return Section("audit", "The audit", tuple(blocks))


def counts_line(run: ReportedRun) -> str:
    """Return verdict and counts."""
    counts = run.audit.counts
    told = [
        f"{number:,} {name.replace('_', ' ')}"
        for name in ("failed", "error", "warned", "noted", "waived", "blocked", "no_evidence")
        if (number := getattr(counts, name))
    ]
    told.append(f"{counts.passed:,} passed")
    prefix = f"{run.heading}: " if run.letter else ""
    return f"{prefix}{run.audit.verdict}; {', '.join(told)}."


def _findings(runs: Sequence[ReportedRun]) -> list[CheckResult]:
    """Return one result of each rule that found something on any run, the gravest first."""
    found: dict[str, CheckResult] = {}
    for run in runs:
        for result in run.audit.results:
            if result.outcome in _SHOWN:
                found.setdefault(result.rule, result)
    ranked = sorted(
        found.values(),
        key=lambda result: (_SHOWN.index(result.outcome), result.stage, result.rule),
    )
    return ranked[:MOST_FINDINGS]


def _alone(run: ReportedRun, findings: Sequence[CheckResult]) -> Table:
    causes = {rule: root.rule for root in run.audit.roots for rule in root.explains}
    roots = {root.rule for root in run.audit.roots}
    rows = tuple(
        (
            Cell(f"{result.rule} {result.name}", mark_of(result.outcome), result.outcome.label),
            Cell(result.observed),
            Cell(result.expected),
            Cell("root cause" if result.rule in roots else causes.get(result.rule, "")),
        )
        for result in findings
    )
    return Table("Findings", ("Check", "Observed", "Expected", "Explained by"), rows)


def _together(runs: Sequence[ReportedRun], findings: Sequence[CheckResult]) -> Table:
    rows = tuple(
        (Cell(f"{result.rule} {result.name}"), *(_outcome(run, result.rule) for run in runs))
        for result in findings
    )
    columns = head(runs, "Check")
    labels = short_head(columns, runs)
    return Table("Findings side by side", columns, rows, short_head=labels)


def _outcome(run: ReportedRun, rule: str) -> Cell:
    result = run.result(rule)
    if result is None:
        return Cell("")
    return Cell(printable(result.observed, limit=_CELL), mark_of(result.outcome))


def _rules(rules: Sequence[str]) -> str:
    shown = ", ".join(rules[:_MOST_RULES])
    return shown if len(rules) <= _MOST_RULES else f"{shown} and {len(rules) - _MOST_RULES} more"
