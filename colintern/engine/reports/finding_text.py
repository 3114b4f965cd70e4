"""A finding in plain text, as the terminal shows it and as a report's failure message."""

import textwrap
from typing import Final

from colintern.engine.outcome import CheckResult, Outcome

WIDTH: Final = 100
BROKEN_WHY: Final = "The rule itself broke; this says nothing about the model."
_INDENT: Final = " " * 12


def finding_text(result: CheckResult) -> str:
    """Show rule, name, what was observed and expected, where, why and how to mend it."""
    kind = f"[{result.severity.value}, {result.outcome.label}]"
    head = f"{result.rule} {result.name} {kind} {result.subject}"
    fields = {
        "observed": result.observed,
        "expected": result.expected,
        "where": result.where,
        "why": result.why,
        "fix": result.remedy,
    }
    if result.outcome is Outcome.ERROR:
        fields |= {
            "why": BROKEN_WHY,
            "fix": "Report it.",
        }
    if result.waiver:
        fields["waived"] = result.waiver
    if result.known:
        fields["known"] = "in the recorded audit too, so it does not gate"
    return "\n".join([head, *(_field(name, text) for name, text in fields.items() if text)])


def one_line(result: CheckResult) -> str:
    """Show a result that was not judged, or does not count, in one line."""
    return f"{result.rule} {result.name}: {result.observed}"


def one_paragraph(result: CheckResult) -> str:
    """Show what was observed and expected, and how to mend it."""
    if result.outcome is Outcome.ERROR:
        return f"{result.observed}. {BROKEN_WHY}"
    expected = f" (expected {result.expected})" if result.expected else ""
    return f"{result.observed}{expected}. {result.remedy}".rstrip()


def _field(name: str, text: str) -> str:
    return textwrap.fill(
        text,
        width=WIDTH,
        initial_indent=f"  {name:<10}",
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
