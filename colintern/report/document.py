"""A report before it is HTML or Markdown: sections of texts, tables, steps and figures.

One document is rendered to both, so the two say the same. Every text is plain and printable; what
stands between backticks is shown as code. Nothing is escaped yet.
"""

from typing import ClassVar, Literal

from msgspec import Struct

from colintern.engine.part import LeftOut
from colintern.figures.canvas import Figure

Mark = Literal["passed", "failed", "error", "warned", "noted", "no_evidence", "blocked", "waived"]
"""An outcome of the audit, shown by its sign."""
VerdictName = Literal["pass", "fail", "inconclusive"]


class Cell(Struct, frozen=True):
    """One cell of a table."""

    text: str
    mark: Mark | None = None
    note: str = ""
    """A second line, less prominent."""


class Paragraph(Struct, frozen=True):
    """A text."""

    kind: ClassVar[str] = "paragraph"
    text: str


class Heading(Struct, frozen=True):
    """What the blocks up to the next heading are about, where a section has several runs."""

    kind: ClassVar[str] = "heading"
    text: str


class Table(Struct, frozen=True):
    """A table whose first column names its rows."""

    kind: ClassVar[str] = "table"
    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""
    """What the columns mean."""
    numeric: bool = False
    """Whether the columns after the first are figures, to be set right-aligned."""
    short_head: tuple[str, ...] = ()
    """The head for a narrow screen, where it stands before each cell."""


class Figures(Struct, frozen=True):
    """Figures beside each other. Markdown has their captions, which say what they show."""

    kind: ClassVar[str] = "figures"
    figures: tuple[Figure, ...]


class Step(Struct, frozen=True):
    """An entry of a numbered list."""

    title: str
    text: str = ""
    code: tuple[str, ...] = ()
    """Lines to type or to write into a script."""
    facts: tuple[tuple[str, str], ...] = ()
    """Terms and what they are."""
    mark: Mark | None = None


class Steps(Struct, frozen=True):
    """A numbered list."""

    kind: ClassVar[str] = "steps"
    steps: tuple[Step, ...]


class Absences(Struct, frozen=True):
    """Parts that are not there, each with the reason and what would let it be."""

    kind: ClassVar[str] = "absences"
    parts: tuple[LeftOut, ...]


Block = Paragraph | Heading | Table | Figures | Steps | Absences


class Section(Struct, frozen=True):
    """A part of the document under a heading of its own."""

    name: str
    """Of the place in the page, as `results`."""
    title: str
    blocks: tuple[Block, ...]
    aside: str = ""
    """Beside the title, less prominent."""


class Summary(Struct, frozen=True):
    """One run in a few lines."""

    name: str
    path: str
    verdict: VerdictName
    lines: tuple[tuple[str, str], ...]
    """A word for what the line is about, and the line."""
    letter: str = ""
    """What stands for the run in figures and tables; empty for a run that is alone."""


class Document(Struct, frozen=True):
    """A whole report."""

    title: str
    """Of the page."""
    brand: str
    """What kind of document it is."""
    stamp: str
    """When and by what it was written."""
    summaries: tuple[Summary, ...]
    sections: tuple[Section, ...]
