"""The numbers that a subject is judged by."""

from colintern.guide import GUIDE, Guide
from pytest_colintern.evidence_registry import evidence
from pytest_colintern.subject import AuditOptions


@evidence
def guide(options: AuditOptions) -> Guide:
    """The guide's thresholds, with the user's overrides."""
    return options.guide or GUIDE
