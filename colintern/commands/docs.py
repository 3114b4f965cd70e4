# ruff: noqa: D301 - click reads the control character \b as "keep these lines"
"""`colintern docs`: the pages that come with the package."""

from difflib import get_close_matches
from pathlib import Path
from typing import Final

import click

from colintern.commands.options import CONTEXT

FOLDER: Final = Path(__file__).parent.parent / "docs"


@click.command(context_settings=CONTEXT)
@click.argument("name", required=False, metavar="[NAME]")
def docs(name: str | None) -> None:
    """Print the list of pages, or one page.

    \b
    Examples:
      colintern docs
      colintern docs ci
    """
    pages = {page.stem: page for page in sorted(FOLDER.glob("*.md"))}
    if name is None:
        width = max(map(len, pages))
        for stem, page in pages.items():
            click.echo(f"{stem:<{width}}  {_title(page)}")
    elif name in pages:
        click.echo(pages[name].read_text(encoding="utf-8"), nl=False)
    else:
        hint = " or ".join(get_close_matches(name, pages, n=2)) or ", ".join(pages)
        raise click.UsageError(f"no page {name!r}; did you mean {hint}?")


def _title(page: Path) -> str:
    return page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ")
