"""From what the user typed to the two files of a training report."""

import os
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from msgspec import Struct

from colintern.artifacts.printable import printable
from colintern.artifacts.writing import write_text_atomically
from colintern.engine.direct_audit import audit_directly
from colintern.engine.request import AuditRequest, AuditSetup, UsageMistakeError, audit_setup
from colintern.report.document import Document
from colintern.report.document_formats import document_html, document_markdown
from colintern.report.training_report import MOST_RUNS, training_report

_ENDINGS: Final = (".html", ".md")
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME: Final = 100
"""Characters of a file's name that stem from a run; file systems allow 255 bytes."""


class ReportError(Exception):
    """A mistake in what the user asked for; the message says what to do."""


class Written(Struct, frozen=True):
    """What was written, and what to tell about it."""

    files: tuple[Path, ...]
    lines: tuple[str, ...]


def write_report(
    named: Sequence[str], output: Path | None, where: Mapping[str, str | None]
) -> Written:
    """Audit the runs and write their report.

    Args:
        named: the runs, as the user typed them.
        output: a file, a folder, or None for the current folder.
        where: `results`, `base`, `family` and `guide`, as the user typed them.

    Raises:
        ReportError: a run, an option or the place to write to is no use.
    """
    here = Path.cwd()
    setup = _setup(named, where, here)
    pages = output_files(output, [subject.name for subject in setup.subjects], here)
    audit = audit_directly(setup)
    document = training_report(audit, setup.settings.guide, datetime.now().astimezone())
    texts = (document_html(document), document_markdown(document))
    for file, text in zip(pages, texts, strict=True):
        try:
            write_text_atomically(file, text)
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise ReportError(f"{printable(file)}: cannot be written: {reason}") from error
    return Written(pages, (*_summary_lines(document), *(f"wrote {printable(p)}" for p in pages)))


def _setup(named: Sequence[str], where: Mapping[str, str | None], here: Path) -> AuditSetup:
    request = AuditRequest(
        here=here,
        checkpoints=named,
        results=where.get("results"),
        base=where.get("base"),
        family=where.get("family"),
        guide=where.get("guide"),
    )
    try:
        setup = audit_setup(request)
    except UsageMistakeError as error:
        raise ReportError(str(error).replace("--checkpoint ", "")) from error
    if len(setup.subjects) > MOST_RUNS:
        raise ReportError(
            f"{len(setup.subjects)} runs: one report shows {MOST_RUNS} at most, as more cannot be "
            f"told apart; write two, or see `colintern audit --html` for any number"
        )
    return setup


def output_files(output: Path | None, names: Sequence[str], here: Path) -> tuple[Path, Path]:
    """Return where the page and its twin in Markdown go.

    Raises:
        ReportError: there is no such folder, or the name is no name of a report.
    """
    stem = _stem(names)
    chosen = here if output is None else Path(os.path.normpath(here / output.expanduser()))
    if chosen.is_dir():
        page = chosen / f"{stem}.html"
    elif chosen.suffix.lower() in _ENDINGS:
        page = chosen.with_suffix(".html")
    elif not chosen.suffix and not str(output).endswith(os.sep):
        page = chosen.with_name(f"{chosen.name}.html")
    else:
        raise ReportError(
            f"--output {printable(output)}: expected a folder that is there, or a file that ends "
            f"in .html or .md"
        )
    if not page.parent.is_dir():
        raise ReportError(f"--output {printable(output)}: no folder {printable(page.parent)}")
    pages = (page, page.with_suffix(".md"))
    for file in pages:
        if file.is_dir():
            raise ReportError(f"--output {printable(file)}: is a folder; name another file")
    return pages


def _stem(names: Sequence[str]) -> str:
    """Make a file's name of the runs' names, which may hold anything.

    >>> _stem(["demo:healthy"]), _stem(["../a b", "c"])
    ('demo-healthy_report', 'a-b_and_1_more_report')
    """
    safe = _UNSAFE.sub("-", names[0]).strip("-.")[:_LONGEST_NAME] or "run"
    more = f"_and_{len(names) - 1}_more" if len(names) > 1 else ""
    return f"{safe}{more}_report"


def _summary_lines(document: Document) -> list[str]:
    """Tell each run in five lines, for a terminal."""
    lines = []
    for summary in document.summaries:
        lines.append(f"{f'{summary.letter}: ' if summary.letter else ''}{summary.name}")
        lines += [f"  {name:<9} {text}" for name, text in summary.lines]
        lines.append("")
    return lines
