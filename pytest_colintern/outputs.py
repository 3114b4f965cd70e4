"""The files that an audit writes, and what a CI service is told."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest

from colintern.artifacts.written_text import write_text_atomically
from pytest_colintern.audit_report import AuditReport
from pytest_colintern.github_actions import WorkflowCommands, annotations, append_summary
from pytest_colintern.json_report import json_report
from pytest_colintern.markdown_report import markdown_report
from pytest_colintern.sarif_report import sarif_report

_WRITERS: Final[dict[str, Callable[[AuditReport], str]]] = {
    "colintern_audit_json": json_report,
    "colintern_audit_markdown": markdown_report,
    "colintern_audit_sarif": sarif_report,
}


def write_outputs(config: pytest.Config, report: AuditReport) -> None:
    """Write the files that were asked for, each whole or not at all.

    Raises:
        OSError: one cannot be written.
    """
    for option, render in _WRITERS.items():
        if (path := config.getoption(option)) is not None:
            write_text_atomically(Path(path), render(report))


def tell_ci(report: AuditReport, commands: WorkflowCommands) -> Iterator[str]:
    """Under GitHub Actions, append the job's summary and yield annotations to print."""
    if not commands.active:
        return
    if os.environ.get("GITHUB_STEP_SUMMARY"):
        append_summary(report, os.environ)
    yield commands.resumed
    yield from annotations(report)
    yield commands.stopped
