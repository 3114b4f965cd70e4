"""A team's own check files, as texts for pytester."""

DOCSTRING = '''    """{summary}

    Why: it hurts.
    Evidence: the folder.
    Fix: mend it.
    Source: definition.
    """
'''

HEAD = "from pytest_colintern import ERROR, INFO, WARNING, NoEvidence, Verdict, rule\n\n\n"


def check(number, body, *, severity="ERROR", parameters="layout", **declaration):
    """The text of one rule TEAM00N."""
    extra = "".join(f", {name}={value!r}" for name, value in declaration.items())
    return (
        f'@rule("TEAM{number:03}", "fault-{number}", severity={severity}{extra})\n'
        f"def check_{number}({parameters}):\n"
        + DOCSTRING.format(summary=f"Fault {number}.")
        + f"    {body}\n\n\n"
    )


def verdict(*, ok):
    return f'return Verdict({ok}, observed="seen", expected="wanted", where="here")'


NO_EVIDENCE = 'raise NoEvidence("some.json", needed_for="a figure")'
EIGHT = HEAD + "".join(
    [
        check(1, verdict(ok=True)),
        check(2, verdict(ok=False), explains=("TEAM003",)),
        check(3, verdict(ok=False), severity="WARNING"),
        check(4, verdict(ok=False), severity="INFO"),
        check(5, NO_EVIDENCE),
        check(6, verdict(ok=True), requires=("TEAM002",)),
        check(7, verdict(ok=False)),
        check(8, "1 / 0"),
    ]
)
"""One rule for each outcome, when TEAM007 is waived."""

WAIVE_SEVEN = '[tool.colintern.waive]\nTEAM007 = {reason = "agreed", until = 2999-01-01}\n'
EIGHT_OUTCOMES = {
    "TEAM001": "passed",
    "TEAM002": "failed",
    "TEAM003": "warned",
    "TEAM004": "noted",
    "TEAM005": "no_evidence",
    "TEAM006": "blocked",
    "TEAM007": "waived",
    "TEAM008": "error",
}
