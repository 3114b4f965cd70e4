"""The shell of every HTML page of ours: everything escaped, nothing loaded, style and policy.

A page is one file: its style is inside, its content policy admits that style and at most one script
of our own by their hashes, and every template escapes what it is given. Templates of any page may
include `icons.jinja2` and import `badge` and `icon` from `marks.jinja2`.
"""

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

_SHARED: Final = Path(__file__).with_name("html")
_FIGURE_STYLE: Final = Path(__file__).with_name("figures.css")


@cache
def templates(folder: Path = _SHARED) -> Environment:
    """Return the templates of `folder` and the shared ones; all of them escape."""
    environment = Environment(
        loader=FileSystemLoader([folder, _SHARED]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["prose"] = prose
    return environment


def html_page(title: str, blocks: Sequence[str], *, style: str = "", script: str = "") -> str:
    """Put blocks of HTML into a page of their own, with a policy that lets nothing else run.

    Args:
        title: what the browser's tab says.
        blocks: HTML that is escaped already.
        style: our own, after the shared style and that of the figures.
        script: our own; without one the policy forbids every script.
    """
    whole_style = "\n".join(
        [_SHARED.joinpath("page.css").read_text("utf-8"), _FIGURE_STYLE.read_text("utf-8"), style]
    )
    scripts = f"'{_digest(script)}'" if script else "'none'"
    return (
        templates()
        .get_template("page.jinja2")
        .render(
            title=title,
            # Our own files and blocks that are escaped already.
            blocks=[Markup(block) for block in blocks],  # noqa: S704 - as above
            style=Markup(whole_style),  # noqa: S704 - as above
            script=Markup(script),  # noqa: S704 - as above
            policy=f"default-src 'none'; img-src data:; style-src '{_digest(whole_style)}'; "
            f"script-src {scripts}; base-uri 'none'; form-action 'none'",
        )
    )


def prose(text: str) -> Markup:
    """Escape `text`; what stands between backticks becomes code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if index % 2 else escape(part)
        for index, part in enumerate(parts)
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"
