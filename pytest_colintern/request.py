"""From pytest's options to what an audit is asked for."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Final

import pytest

from colintern.engine.request import AuditRequest, AuditSetup, UsageMistakeError, audit_setup

_OPTIONS: Final = (
    *("results", "baseline", "merged", "base", "family", "guide", "live", "live_pages"),
    *("audit_baseline", "fail_on", "strict_evidence", "select", "skip_rules", "min_evidence"),
)
_OUTPUTS: Final = ("audit_json", "audit_markdown", "audit_sarif")
_OF_PYTEST_HTML: Final = "htmlpath"


def setup_of(config: pytest.Config) -> AuditSetup:
    """Read options and settings, and check that what they name is there.

    Raises:
        pytest.UsageError: a path, key, family or file that does not exist or cannot be used.
    """
    try:
        return audit_setup(request_of(config))
    except UsageMistakeError as mistake:
        raise pytest.UsageError(str(mistake)) from mistake


def request_of(config: pytest.Config) -> AuditRequest:
    """Gather the options; pytest writes its JUnit file itself."""
    named = {name: config.getoption(f"colintern_{name}") for name in _OPTIONS}
    outputs = {
        name: path
        for name in _OUTPUTS
        if (path := config.getoption(f"colintern_{name}")) is not None
    } | _page(config)
    return AuditRequest(
        here=Path(config.invocation_params.dir),
        checkpoints=config.getoption("colintern_checkpoint"),
        outputs=outputs,
        progress=_progress_of(config),
        **named,
    )


def _page(config: pytest.Config) -> dict[str, str]:
    """Return where pytest-html writes its page, if it does."""
    path = config.getoption(_OF_PYTEST_HTML, default=None)
    return {} if path is None or hasattr(config, "workerinput") else {"html": path}


def _progress_of(config: pytest.Config) -> Callable[[str], None]:
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
