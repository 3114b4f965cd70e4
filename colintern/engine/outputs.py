"""The files that an audit writes, and what a CI service is told."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from colintern.artifacts.printable import printable
from colintern.artifacts.writing import write_chunks_atomically
from colintern.engine.audit_report import AuditReport
from colintern.engine.reports.github_actions import WorkflowCommands, annotations, append_summary
from colintern.engine.reports.json_report import json_report
from colintern.engine.reports.junit_report import junit_report
from colintern.engine.reports.markdown_report import markdown_report
from colintern.engine.reports.sarif_report import sarif_report

_WRITERS: Final[dict[str, Callable[[AuditReport], Iterable[str]]]] = {
    "audit_json": json_report,
    "audit_markdown": markdown_report,
    "audit_sarif": sarif_report,
    "junitxml": junit_report,
}


def write_outputs(outputs: Mapping[str, Path], report: AuditReport) -> Iterator[str]:
    """Write the files that were asked for, each whole or not at all; yield what went wrong.

    The HTML page, which needs evidence too, is not among them.
    """
    for name, render in _WRITERS.items():
        if (path := outputs.get(name)) is not None:
            yield from written(path, render(report))


def written(path: Path, chunks: Iterable[str]) -> Iterator[str]:
    """Write a file whole; yield why it could not be: one report must not cost the others."""
    try:
        write_chunks_atomically(path, chunks)
    except OSError as error:
        yield _not_written(path, error)


def _not_written(path: object, error: OSError) -> str:
    return f"not written: {printable(path, limit=1_000)}: {error.strerror or printable(error)}"


def tell_ci(report: AuditReport, commands: WorkflowCommands) -> Iterator[str]:
    """Under GitHub Actions, append the job's summary and yield annotations to print."""
    if not commands.active:
        return
    if summary := os.environ.get("GITHUB_STEP_SUMMARY"):
        try:
            append_summary(report, os.environ)
        except OSError as error:
            # The runner's own file: that it is not there says nothing about the checkpoint.
            yield _not_written(summary, error)
    yield commands.resumed
    yield from annotations(report)
    yield commands.stopped
