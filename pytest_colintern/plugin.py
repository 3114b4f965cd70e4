"""The entry point: options always, the audit only when `--checkpoint` asks for it.

The plugin is installed beside other people's tests, so this module imports nothing that costs time
and registers nothing else without `--checkpoint`.
"""

from pathlib import Path

import pytest

from pytest_colintern.options import add_options


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the audit."""
    add_options(parser)


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Register the audit when subjects are given; else say so if checks were named."""
    for name in ("error", "warning", "info"):
        config.addinivalue_line("markers", f"{name}: rules of this severity (ColIntern audit)")
    if config.getoption("help", default=False):
        return
    if config.getoption("colintern_checkpoint"):
        from colintern.engine.imports import (  # noqa: PLC0415 - as below
            modules_kept_for_good,
        )

        with modules_kept_for_good():
            from pytest_colintern.session import (  # noqa: PLC0415 - slow, and rarely needed
                register_audit,
            )

            register_audit(config)
    elif named := _named_checks(config):
        raise pytest.UsageError(
            f"{named} holds audit rules, which need a subject: "
            f"pytest {named} --checkpoint PATH   (or --checkpoint demo)"
        )


def _named_checks(config: pytest.Config) -> str | None:
    """Return the argument that is our checks folder or a `check_*.py` file, if any."""
    ours = Path(__file__).parent
    folders = {ours / "checks", ours.parent / "checks"}
    for argument in config.args:
        path = Path(config.invocation_params.dir, str(argument).partition("::")[0])
        is_check_file = path.name.startswith("check_") and path.suffix == ".py" and path.is_file()
        is_clones = path.name == "checks" and (path.parent / ours.name / "plugin.py").is_file()
        if is_check_file or is_clones or path in folders or path.resolve() in folders:
            return str(argument)
    return None
