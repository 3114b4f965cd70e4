"""The catalogue as text: generated from the rules' own declarations and docstrings."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from colintern.engine.catalogue import matches, shipped_rules, unknown_selector
from colintern.engine.rule import Rule
from colintern.engine.rule_families import STAGES
from colintern.engine.sources import PAGE, cited_entries

_WIDTH: Final = 100


def catalogue_text(selector: str | None = None) -> str:
    """Return the list of all rules or of a family, or the page of one rule.

    Args:
        selector: a rule id, a rule name or a family; None for everything.

    Raises:
        LookupError: nothing is called so; the message has close names.
    """
    catalogue = shipped_rules()
    if selector is None:
        return _listing(list(catalogue.values()))
    by_name = {rule.name: rule.id for rule in catalogue.values()}
    wanted = by_name.get(selector.lower(), selector.upper())
    if unknown := unknown_selector(wanted, catalogue):
        raise LookupError(unknown)
    if wanted in catalogue:
        return rule_page(catalogue[wanted], catalogue)
    return _listing([rule for rule in catalogue.values() if matches(rule.id, wanted)])


def rule_page(rule: Rule, catalogue: Mapping[str, Rule]) -> str:
    """Return one rule's page; the catalogue gives the rules that it is related to."""
    fields = {
        "Why": rule.why,
        "Evidence": rule.evidence,
        "Fix": rule.fix,
        "Source": rule.source,
    }
    lines = [
        f"{rule.id} {rule.name} ({severity_text(rule)})",
        "",
        *textwrap.wrap(rule.summary, _WIDTH),
    ]
    for heading, text in fields.items():
        if text:
            lines += [
                "",
                heading,
                *textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  "),
            ]
    return "\n".join([*lines, *_how_to_open(rule.source), *_relations(rule, catalogue)])


def _how_to_open(source: str) -> Iterator[str]:
    """Say how the entries that a source cites are read."""
    if entries := cited_entries(source):
        yield f"  (`colintern docs {PAGE} {' '.join(entries)}` prints these entries)"


def _relations(rule: Rule, catalogue: Mapping[str, Rule]) -> Iterator[str]:
    """Say which rules block this one, fail because of it, and make it fail."""
    explained_by = {other.id for other in catalogue.values() if rule.id in other.explains}
    yield from _related("Requires (a failure there blocks this rule)", rule.requires, catalogue)
    yield from _related("Explains (fail because of this)", rule.explains, catalogue)
    yield from _related("Explained by (make this fail)", explained_by, catalogue)


def _related(heading: str, ids: Iterable[str], catalogue: Mapping[str, Rule]) -> Iterator[str]:
    if listed := sorted(ids):
        yield from ("", heading)
        yield from (
            f"  {rule_id} {catalogue[rule_id].name}" if rule_id in catalogue else f"  {rule_id}"
            for rule_id in listed
        )


def severity_text(rule: Rule) -> str:
    """Show one severity, or the usual one and the worst: `warning, up to error`."""
    worst = "" if rule.up_to is rule.severity else f", up to {rule.up_to.value}"
    return f"{rule.severity.value}{worst}"


def _listing(rules: list[Rule]) -> str:
    ordered = sorted(rules, key=lambda rule: (rule.stage, rule.id))
    width = max((len(rule.name) for rule in ordered), default=0)
    lines = [f"{rule.id}  {rule.name:<{width}}  {severity_text(rule)}" for rule in ordered]
    count = f"{len(ordered)} rules; `colintern rules ID` prints a rule's page. Families in order: "
    families = [family for family in STAGES if any(rule.family == family for rule in ordered)]
    return "\n".join([*lines, "", count + ", ".join(families)])
