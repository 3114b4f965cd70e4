"""`--html FILE`: pytest-html writes our audit instead of its log of tests.

Our report is one block in pytest-html's summary; its own rows, filters and environment table are
left empty. Two of its attributes are replaced, because no hook reaches them: the template, which
has no language, no viewport and no content policy, and the writer, which leaves half a file when
it is interrupted.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pytest_html.basereport import BaseReport  # type: ignore[import-untyped]

from colintern.engine.audit_report import AuditReport
from colintern.engine.outputs import written
from colintern.engine.reports.html.page import drawn_block, page, page_title, unfinished_block
from colintern.engine.resolver import Resolver


class HtmlReport:
    """Fills pytest-html's page."""

    def __init__(
        self,
        config: pytest.Config,
        report: Callable[[], AuditReport | None],
        evidence: Callable[[str], Resolver],
        complain: Callable[[str], None],
    ) -> None:
        """Write the page of an audit.

        Args:
            config: of the session.
            report: returns the audit, or None while there is no verdict.
            evidence: returns the evidence of the subject of a name.
            complain: is told why the page could not be written.
        """
        self._complain = complain
        self._config = config
        self._report = report
        self._evidence = evidence
        # One file: pytest-html would else write a folder of assets beside it.
        config.option.self_contained_html = True

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self) -> None:
        """Take over how pytest-html renders and writes."""
        for plugin in self._config.pluginmanager.get_plugins():
            if isinstance(plugin, BaseReport):
                # No hook reaches these: see the module's docstring.
                write = partial(self._write, plugin._report_path)  # noqa: SLF001
                plugin._template, plugin._write_report = self, write  # noqa: SLF001

    def _write(self, path: Path, text: str) -> None:
        for problem in written(path, [text]):
            self._complain(problem)

    def render(self, *, additional_summary: dict[str, list[str]], **_: Any) -> str:
        """Render the whole page, as pytest-html asks its template to."""
        parts = (additional_summary[place] for place in ("prefix", "summary", "postfix"))
        blocks = [block for part in parts for block in part]
        return page(page_title(self._report()), blocks or [unfinished_block()])

    def pytest_html_report_title(self, report: Any) -> None:
        """Leave the environment out: what matters of it is evidence, and other values may leak."""
        report.set_data("environment", {})

    def pytest_html_results_table_row(self, cells: list[str]) -> None:
        """Leave the row out: it would show the names of folders unescaped."""
        cells.clear()

    def pytest_html_results_summary(self, prefix: list[str]) -> None:
        """Put the audit in."""
        report = self._report()
        prefix.append(unfinished_block() if report is None else drawn_block(report, self._evidence))
