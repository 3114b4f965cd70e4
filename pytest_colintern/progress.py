"""What a long measurement is doing, on the terminal while it does it."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest


def progress_of(config: pytest.Config) -> Callable[[str], None]:
    """Return what prints a line at once, past pytest's capture; a worker of xdist stays silent."""

    def tell(text: str) -> None:
        terminal: Any = config.pluginmanager.get_plugin("terminalreporter")
        if terminal is None:
            return
        capture: Any = config.pluginmanager.get_plugin("capturemanager")
        with capture.global_and_fixture_disabled() if capture else nullcontext():
            # Behind the letters of the rules that were judged; pytest has no public way to ask.
            if terminal._tw.width_of_current_line:  # noqa: SLF001 - as said
                terminal.line("")
            terminal.line(f"live: {text}")
            terminal.flush()

    return tell
