"""A recorded audit (`--audit-baseline FILE`): what a team knew of when it began to gate."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from colintern.artifacts.printable import printable
from colintern.engine.audit_report import SCHEMA
from colintern.engine.verdict import Severity

_MAX_BYTES: Final = 64 << 20
"""Of a recorded audit: 1,000 checks on 20 subjects take about 20 MB."""
_READ: Final = (SCHEMA, "colintern.audit/1")
"""Both have the fields that are read here."""
_FINDINGS: Final = frozenset({"failed", "warned", "noted", "waived"})


class RecordedAuditError(Exception):
    """A file that is no recorded audit; the message says what was expected."""


class RecordedAudit(Struct, frozen=True):
    """Which findings an earlier audit had, by subject and rule."""

    path: Path
    severities: Mapping[str, Mapping[str, Severity]]
    """Subject to rule to the severity that it was found at."""

    def knows(self, subject: str, rule: str, severity: Severity) -> bool:
        """Whether the finding was there, and was no milder then.

        An audit of one subject is compared by rule alone: a new training of the same recipe has
        another folder name.
        """
        of_subject = self.severities.get(subject)
        if of_subject is None and len(self.severities) == 1:
            (of_subject,) = self.severities.values()
        recorded = (of_subject or {}).get(rule)
        return recorded is not None and recorded.rank <= severity.rank


def read_recorded_audit(path: Path) -> RecordedAudit:
    """Read a file that `--audit-json` wrote.

    Raises:
        RecordedAuditError: no such file, no JSON, or not of a known schema.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise RecordedAuditError(f"{printable(path)}: larger than {_MAX_BYTES >> 20} MB")
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise RecordedAuditError(
            f"{printable(path)}: cannot be read: {error.strerror}; record one: "
            f"colintern audit PATH --audit-json FILE"
        ) from error
    except (ValueError, RecursionError) as error:
        raise RecordedAuditError(
            f"{printable(path)}: expected a recorded audit, found no JSON: {printable(error)}"
        ) from error
    schema = document.get("schema") if isinstance(document, dict) else None
    if schema not in _READ:
        raise RecordedAuditError(
            f"{printable(path)}: expected an audit recorded with --audit-json (schema {SCHEMA}), "
            f"found schema {printable(schema)}"
        )
    return RecordedAudit(path, _severities(document, path))


def _severities(document: Mapping[str, Any], path: Path) -> dict[str, dict[str, Severity]]:
    try:
        found: dict[str, dict[str, Severity]] = {
            str(subject["name"]): {} for subject in document["subjects"]
        }
        for check in document["checks"]:
            if check["outcome"] in _FINDINGS:
                found[check["subject"]][str(check["rule"])] = Severity(check["severity"])
    except (KeyError, TypeError, ValueError) as error:
        raise RecordedAuditError(
            f"{printable(path)}: not a whole audit ({type(error).__name__}: {printable(error)}); "
            f"record it anew with --audit-json"
        ) from error
    return found
