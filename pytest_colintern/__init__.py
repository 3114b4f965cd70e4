"""Audit rules as pytest checks. Everything that a team needs to write its own is here."""

from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, INFO, WARNING, NoEvidence, Severity, Verdict

__all__ = ["ERROR", "INFO", "WARNING", "NoEvidence", "Severity", "Verdict", "rule"]
