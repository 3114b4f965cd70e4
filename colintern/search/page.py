"""A study as one HTML page: table, history, importance and slices; nothing is loaded or run."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from colintern.artifacts.printable import printable
from colintern.artifacts.written_text import write_text_atomically
from colintern.report.figure import Figure
from colintern.report.page_shell import html_page, templates
from colintern.search.places import Place
from colintern.search.space import Space
from colintern.search.summary import counts_text, parameter_names, trial_rows

PAGE: Final = "search.html"

_HTML: Final = Path(__file__).with_name("html")
_MOST_ROWS: Final = 1000
_STYLE: Final = """
.wide { overflow-x: auto; }
.wide th, .wide td { text-align: left; padding: 0.3rem 0.8rem 0.3rem 0; vertical-align: top; }
.wide td { font-variant-numeric: tabular-nums; }
.wide th, .wide td:not(:last-child) { white-space: nowrap; }
.wide th { font-weight: 500; }
.wide td:last-child { min-width: 12rem; }
.wide tbody tr { border-top: 1px solid var(--line); }
.wide .best { background: var(--soft); font-weight: 600; }
.details { grid-template-columns: max-content minmax(0, 1fr); }
@media (max-width: 700px) { .details { grid-template-columns: minmax(0, 1fr); } }
.figure .fig-hollow { stroke: var(--muted); stroke-width: 1.4; }
"""


def write_page(
    path: Path,
    places: Sequence[Place],
    figures: Sequence[Figure],
    *,
    name: str,
    recipe: str,
    storage: str,
    space: Space,
    run: str,
    command: str,
) -> None:
    """Write the page, whole or not at all; every text in it is escaped."""
    rows = trial_rows(places)
    block = (
        templates(_HTML)
        .get_template("search.jinja2")
        .render(
            written=datetime.now(UTC),
            name=printable(name),
            recipe=printable(recipe),
            storage=printable(storage),
            counts=counts_text(places),
            best=next((row for row in rows if row.is_best), None),
            run=printable(run),
            command=printable(command, limit=2000),
            rows=rows[-_MOST_ROWS:],
            left_out=max(0, len(rows) - _MOST_ROWS),
            names=parameter_names(rows),
            figures=figures,
            space=[(printable(each.name), each.description()) for each in space],
        )
    )
    title = f"{printable(name)} (ColIntern search)"
    write_text_atomically(path, html_page(title, [block], style=_STYLE))
