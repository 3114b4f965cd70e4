"""Who a subject is, as far as its files tell."""

from typing import Any, Final

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.folder.unread_files import UnreadFiles
from colintern.artifacts.printable import printable
from colintern.engine.audit_report import SubjectIdentity
from colintern.engine.resolver import Resolver
from colintern.engine.subjects import Subject
from colintern.engine.verdict import NoEvidence

_NAME_CHARACTERS: Final = 160
"""Of the name of one ignored file."""


def subject_identity(subject: Subject, resolver: Resolver) -> SubjectIdentity:
    """Read kind, family, base model and what is not judged; what cannot be read is None."""
    unread = _unread(resolver)
    return SubjectIdentity(
        name=subject.name,
        path=printable(subject.path, limit=1_000),
        kind=_fact(resolver, "layout", "kind"),
        weights_of=_fact(resolver, "layout", "weights_of"),
        family=_fact(resolver, "family", "name"),
        base_model=_fact(resolver, "adapter", "base_model_name_or_path"),
        ignored=tuple(printable(name, limit=_NAME_CHARACTERS) for name in unread.names),
        num_ignored=unread.num_files,
    )


def _unread(resolver: Resolver) -> UnreadFiles:
    try:
        found: UnreadFiles = resolver.get("unread")
    except (NoEvidence, ArtifactError, LookupError):
        return UnreadFiles((), 0)
    return found


def _fact(resolver: Resolver, evidence: str, attribute: str) -> str | None:
    try:
        value: Any = getattr(resolver.get(evidence), attribute)
    except (NoEvidence, ArtifactError, LookupError):
        return None
    return printable(value) if value is not None else None
