"""A document as HTML and as Markdown: every text of an artefact is escaped."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from colintern.engine.reports.markdown_report import escaped
from colintern.figures.page_shell import html_page, templates
from colintern.report.document import (
    Absences,
    Block,
    Cell,
    Document,
    Figures,
    Heading,
    Paragraph,
    Section,
    Step,
    Steps,
    Summary,
    Table,
)

_HTML: Final = Path(__file__).with_name("html")
_TEMPLATE: Final = "document.jinja2"
_STYLE: Final = "document.css"


def document_html(document: Document) -> str:
    """Render a document; every text in it is escaped."""
    block = templates(_HTML).get_template(_TEMPLATE).render(document=document)
    return html_page(document.title, [block], style=_HTML.joinpath(_STYLE).read_text("utf-8"))


_MARKS = {
    "passed": "✓",
    "failed": "✗",
    "error": "✗",
    "warned": "⚠",
    "noted": "i",
    "waived": "~",
}
"""Signs of the outcomes; one that was not judged has none."""


_HARMLESS = re.compile(
    r"(?<=.)\\[-()+!]|(?<=.)\\\.(?=\s|$|(?<=\d\\\.)\d)|&#58;(?=\s|$)|(?<=\d)&#58;(?=\d)"
    r"|(?<=NDCG)&#64;&#8203;|(?<=Recall)&#64;&#8203;"
)
"""Escapes that can be taken back."""
_SIGNS = {"&#58;": ":", "&#64;&#8203;": "@"}


def document_markdown(document: Document) -> str:
    """Render a document; its figures appear by what they say in words."""
    lines = [f"# {_plain(document.title)}", "", _plain(document.stamp), ""]
    for summary in document.summaries:
        lines.extend(_summary_lines(summary))
    for section in document.sections:
        lines.extend(_section_lines(section))
    return "\n".join(lines).rstrip() + "\n"


def _summary_lines(summary: Summary) -> Iterator[str]:
    letter = f"{summary.letter}: " if summary.letter else ""
    yield f"## {letter}{_plain(summary.name)}: {summary.verdict}"
    yield ""
    yield from (f"- **{_plain(name)}**: {_prose(text)}" for name, text in summary.lines)
    yield f"- **Path**: {_plain(summary.path)}"
    yield ""


def _section_lines(section: Section) -> Iterator[str]:
    aside = f" ({_plain(section.aside)})" if section.aside else ""
    yield f"## {_plain(section.title)}{aside}"
    yield ""
    for block in section.blocks:
        yield from _block_lines(block)
        yield ""


def _block_lines(block: Block) -> Iterator[str]:
    match block:
        case Paragraph(text):
            yield _prose(text)
        case Heading(text):
            yield f"### {_plain(text)}"
        case Table():
            yield from _table_lines(block)
        case Figures(figures):
            yield from (
                f"- **{_plain(figure.title)}**: {_prose(figure.caption)}" for figure in figures
            )
        case Steps(steps):
            for number, step in enumerate(steps, 1):
                yield from _step_lines(number, step)
        case Absences(parts):
            for left_out in parts:
                hint = f". {_prose(left_out.hint)}" if left_out.hint else ""
                yield f"- **{_plain(left_out.title)}**: {_prose(left_out.reason)}{hint}"


def _table_lines(table: Table) -> Iterator[str]:
    if table.title:
        yield f"**{_plain(table.title)}**"
        yield ""
    yield f"| {' | '.join(_plain(name) or ' ' for name in table.head)} |"
    yield f"|---{'|---:' if table.numeric else '|---'}" + (
        ("|---:" if table.numeric else "|---") * (len(table.head) - 2) + "|"
    )
    for row in table.rows:
        yield f"| {' | '.join(map(_cell, row))} |"
    if table.note:
        yield ""
        yield _prose(table.note)


def _cell(cell: Cell) -> str:
    mark = f"{_MARKS[cell.mark]} " if cell.mark in _MARKS else ""
    note = f" ({_prose(cell.note)})" if cell.note and cell.text else _prose(cell.note)
    # Escaping keeps no pipe in a code span from ending the cell.
    return f"{mark}{_prose(cell.text)}{note}".replace("|", "\\|").replace("\\\\|", "\\|")


def _step_lines(number: int, step: Step) -> Iterator[str]:
    mark = f"{_MARKS[step.mark]} " if step.mark in _MARKS else ""
    indent = " " * (len(str(number)) + 2)
    yield f"{number}. {mark}**{_prose(step.title)}**"
    if step.text:
        yield f"{indent}{_prose(step.text)}"
    yield from (f"{indent}- {_plain(term)}: {_prose(text)}" for term, text in step.facts)
    if step.code:
        # Longer than any run of the sign in the lines, so that none of them ends the block.
        fence = "~" * max([3, *(len(run) + 1 for run in re.findall("~+", "".join(step.code)))])
        yield from (f"{indent}{line}" for line in (fence, *step.code, fence))


def _prose(text: str) -> str:
    """Escape `text`; what stands between backticks stays code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return _plain(text)
    return "".join(_code(part) if index % 2 else _plain(part) for index, part in enumerate(parts))


def _code(text: str) -> str:
    """Return `text` as code; a pipe behind a backslash would end a table's cell in the middle."""
    if "\\|" in text:
        return _plain(f"`{text}`")
    return f"`{text}`" if text.strip() else text


def _plain(text: str) -> str:
    r"""Escape `text`, but leave signs that cannot act where they stand, for those who read source.

    A colon before a space ends no address, a dash behind a letter begins no list, and a bracket
    that is escaped makes no link of the parenthesis behind it.

    >>> _plain("loss: 4-5 (a [b](c))")
    'loss: 4-5 (a \\[b\\](c))'
    """
    return _HARMLESS.sub(_taken_back, escaped(text))


def _taken_back(found: re.Match[str]) -> str:
    if found[0] in _SIGNS:
        return _SIGNS[found[0]]
    # "2." begins a list where nothing but digits stands before it, and "2.5" does not.
    number = found.string[found.end() : found.end() + 1].isdigit()
    begins_list = found.string[: found.start()].isdigit() and not number
    return found[0] if begins_list else found[0][-1]
