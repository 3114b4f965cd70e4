"""All evidence that ColIntern itself provides, and the judge of a subject that is built on it."""

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from typing import Final

from colintern.engine import evidence as evidence_package
from colintern.engine.judge import Judge
from colintern.engine.policy import Policy
from colintern.engine.resolver import Provider, Resolver, providers_of
from colintern.engine.rule import Rule
from colintern.engine.subjects import AuditOptions, Subject

GIVEN: Final = ("subject", "options", "resolver")
"""Evidence that no provider makes: the audit itself gives it."""


@cache
def shipped_providers() -> dict[str, Provider]:
    """Return the providers of every module in `colintern.engine.evidence`."""
    modules = [
        import_module(f"{evidence_package.__name__}.{info.name}")
        for info in iter_modules(evidence_package.__path__)
    ]
    return providers_of(*modules)


def judge_of(
    subject: Subject,
    options: AuditOptions,
    catalogue: Mapping[str, Rule],
    policy: Policy,
    providers: Mapping[str, Provider] | None = None,
) -> Judge:
    """Build the judge of `subject`; `providers` are a team's own, beside the shipped ones."""
    resolver = Resolver(
        shipped_providers() | dict(providers or {}), {"subject": subject, "options": options}
    )
    return Judge(subject.name, resolver, catalogue, policy)
