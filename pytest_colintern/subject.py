"""What is audited, and what the user said about it."""

from collections.abc import Callable
from pathlib import Path

from msgspec import Struct

from colintern.guide import Guide


class Subject(Struct, frozen=True):
    """One `--checkpoint`."""

    path: Path
    """Absolute."""
    name: str
    """Unique among the subjects of the audit, safe to print and to stand in a node id."""


class AuditOptions(Struct, frozen=True):
    """Where else to look, from the command line. Paths are absolute."""

    results: Path | None = None
    """`--results`: a folder of task results."""
    baseline: Path | None = None
    """`--baseline`: results to compare with."""
    merged: Path | None = None
    """`--merged`: a merged model to verify against base + adapter."""
    base: Path | None = None
    """`--base`: the base model's folder."""
    family: str | None = None
    """`--family`: the retriever family's name."""
    guide: Guide | None = None
    """Thresholds with the user's overrides, or None for the guide as written."""
    live: bool = False
    """`--live`: the model may be loaded and run."""
    live_pages: Path | None = None
    """`--live-pages`: the user's own pages for the rules that run the model."""
    progress: Callable[[str], None] | None = None
    """Tells the user what a long measurement is doing; None where nobody reads it."""
    num_subjects: int = 1
    """Subjects in this audit: with several, `--results` has a folder for each."""
    invocation_dir: Path = Path()
    """Where the command was run: results may lie below it."""
