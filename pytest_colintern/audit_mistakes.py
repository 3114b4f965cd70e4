"""Ids in options and settings that do not exist: a typo must not be silent."""

from collections.abc import Iterator, Mapping

from colintern.engine.catalogue import circular_requirements, unknown_requirements, unknown_selector
from colintern.engine.rule import Rule
from pytest_colintern.setup import AuditSetup


def audit_mistakes(setup: AuditSetup, catalogue: Mapping[str, Rule], *, live: bool) -> list[str]:
    """Return what is wrong with the rules as collected, or with how they were named."""
    mistakes = [f"unknown requirement: {text}" for text in unknown_requirements(catalogue)]
    if not mistakes and (circle := circular_requirements(catalogue)):
        mistakes.append(f"rules require each other: {circle}")
    mistakes += [
        f"tool.colintern.waive: {waived!r} is a family; waive its rules one by one"
        for waived in setup.policy.waivers
        if waived not in catalogue and not unknown_selector(waived, catalogue)
    ]
    mistakes += _unknown(setup, catalogue)
    if not live and (asked := [s for s in setup.select if s.startswith("LIV")]):
        mistakes.append(f"--select {asked[0]}: the rules that load the model need --live")
    for flag, family, given in (
        ("--live", "LIV", live),
        ("--baseline", "CMP", setup.options.baseline is not None),
    ):
        if given and unknown_selector(family, catalogue):
            mistakes.append(f"{flag}: this version has no {family} rules that would use it")
    return mistakes


def _unknown(setup: AuditSetup, catalogue: Mapping[str, Rule]) -> Iterator[str]:
    named = {
        "--select": setup.select,
        "--skip-rules": setup.skip,
        "min-evidence": setup.policy.min_evidence,
        "tool.colintern.waive": setup.policy.waivers,
    }
    for place, selectors in named.items():
        unknown = (unknown_selector(selector, catalogue) for selector in selectors)
        yield from (f"{place}: {text}" for text in unknown if text)
