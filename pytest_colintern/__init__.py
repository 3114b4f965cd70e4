"""Audit rules as pytest checks. Everything that a team needs to write its own is here."""

from pytest_colintern.rule import rule
from pytest_colintern.verdict import ERROR, INFO, WARNING, NoEvidence, Severity, Verdict

__all__ = ["ERROR", "INFO", "WARNING", "NoEvidence", "Severity", "Verdict", "rule"]
