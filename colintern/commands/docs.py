# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern docs`: the pages that come with the package."""

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Final

import click

from colintern.commands.options import CONTEXT

FOLDER: Final = Path(__file__).parent.parent / "docs"
_FENCE: Final = "```"


@click.command(context_settings=CONTEXT)
@click.argument("name", required=False, metavar="[NAME]")
@click.argument("entries", nargs=-1, metavar="[ENTRY]...")
def docs(name: str | None, entries: tuple[str, ...]) -> None:
    """Print the list of pages, one page, or entries of a page.

    ENTRY is a heading of the page, or its first word: rules cite entries of the page `sources`.

    \b
    Examples:
      colintern docs
      colintern docs ci
      colintern docs sources F03
    """
    pages = {page.stem: page for page in sorted(FOLDER.glob("*.md"))}
    if name is None:
        width = max(map(len, pages))
        for stem, page in pages.items():
            click.echo(f"{stem:<{width}}  {_title(page)}")
    elif name not in pages:
        raise click.UsageError(f"no page {name!r}; did you mean {_close(name, pages)}?")
    elif entries:
        found = entries_of(pages[name].read_text(encoding="utf-8"))
        click.echo("\n\n".join(_entry(name, entry, found) for entry in entries))
    else:
        click.echo(pages[name].read_text(encoding="utf-8"), nl=False)


def entries_of(page: str) -> dict[str, str]:
    """Return the text under each heading of a page, the heading included, by the heading."""
    headings: list[tuple[int, str, int]] = []
    lines, is_code = page.split("\n"), False
    for number, line in enumerate(lines):
        is_code ^= line.startswith(_FENCE)
        marks = len(line) - len(line.lstrip("#"))
        if marks and not is_code:
            headings.append((marks, line[marks:].strip(), number))
    return {
        title: "\n".join(lines[start : _end(headings[place + 1 :], marks, len(lines))]).strip()
        for place, (marks, title, start) in enumerate(headings)
    }


def _end(following: list[tuple[int, str, int]], marks: int, end: int) -> int:
    """Return the line at which the next heading of the same rank, or a higher one, stands."""
    return next((number for rank, _, number in following if rank <= marks), end)


def _entry(page: str, wanted: str, entries: Mapping[str, str]) -> str:
    for title, text in entries.items():
        if wanted.casefold() in (title.casefold(), title.split()[0].casefold()):
            return text
    first_words = [title.split()[0] for title in entries]
    raise click.UsageError(
        f"the page {page} has no {wanted!r}; did you mean {_close(wanted, first_words)}?"
    )


def _close(wanted: str, known: Mapping[str, object] | list[str]) -> str:
    return " or ".join(get_close_matches(wanted, known, n=2)) or ", ".join(known)


def _title(page: Path) -> str:
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
