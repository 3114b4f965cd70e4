"""A document as one HTML page without any script."""

from typing import Final

from colintern.report.document import Document
from colintern.report.page_shell import html_page, templates

_TEMPLATE: Final = "document.jinja2"
_STYLE: Final = "document.css"


def document_html(document: Document) -> str:
    """Render a document; every text in it is escaped."""
    environment = templates()
    block = environment.get_template(_TEMPLATE).render(document=document)
    style, _, _ = environment.loader.get_source(environment, _STYLE)  # type: ignore[union-attr]
    return html_page(document.title, [block], style=style)
