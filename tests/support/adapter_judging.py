"""Judges one subject by the ADP and PRJ rules, without a pytest session around it."""

from functools import cache
from pathlib import Path

from colintern.artifacts.errors import ArtifactError
from colintern.engine.catalogue import load_check_file, rules_in
from colintern.engine.providers import shipped_providers
from colintern.engine.resolver import Resolver
from colintern.engine.subjects import AuditOptions, Subject
from colintern.engine.verdict import NoEvidence

CHECKS = Path(__file__).parents[2] / "checks" / "adapter"


@cache
def adapter_rules():
    files = sorted(CHECKS.glob("check_*.py"))
    return {rule.id: rule for file in files for rule in rules_in(load_check_file(file)).values()}


def judge_adapter(path, **options):
    """By rule: `ok`, a severity, `no evidence` or `malformed`; and what was observed."""
    given = {"subject": Subject(path, "subject"), "options": AuditOptions(**options)}
    resolver = Resolver(shipped_providers(), given)
    return {rule_id: outcome_of(rule, resolver) for rule_id, rule in adapter_rules().items()}


def outcome_of(rule, resolver):
    try:
        verdict = resolver.call(rule.check)
    except NoEvidence as missing:
        return "no evidence", str(missing)
    except ArtifactError as error:
        return "malformed", str(error)
    severity = (verdict.severity or rule.severity).value
    return ("ok" if verdict.ok else severity), verdict.observed
