"""Who a subject is, as far as its files tell."""

from typing import Any

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.printable import printable
from pytest_colintern.audit_report import SubjectIdentity
from pytest_colintern.evidence_registry import Resolver
from pytest_colintern.subject import Subject
from pytest_colintern.verdict import NoEvidence


def subject_identity(subject: Subject, resolver: Resolver) -> SubjectIdentity:
    """Read kind, family and base model; what cannot be read is None."""
    return SubjectIdentity(
        name=subject.name,
        path=printable(subject.path, limit=1_000),
        kind=_fact(resolver, "layout", "kind"),
        family=_fact(resolver, "family", "name"),
        base_model=_fact(resolver, "adapter", "base_model_name_or_path"),
    )


def _fact(resolver: Resolver, evidence: str, attribute: str) -> str | None:
    try:
        value: Any = getattr(resolver.get(evidence), attribute)
    except (NoEvidence, ArtifactError, LookupError):
        return None
    return printable(value) if value is not None else None
