"""Imports colpali-engine without what it says of packages that nothing here uses."""

import contextlib
import io
import logging
import sys
from typing import Final

_NEEDLESS: Final = (
    "FastPlaid is not installed",
    "pynvml not found. GPU stats will not be printed",
)
"""What colpali-engine 0.3.18 logs and prints while it is imported: of an index that is not used
here, and of figures that `colintern_resources.jsonl` has."""


def import_engine() -> None:
    """Import it for everyone who imports it later; anything else that is said is passed on."""
    said, root = io.StringIO(), logging.getLogger()
    root.addFilter(_is_needed)
    try:
        with contextlib.redirect_stdout(said):
            import colpali_engine  # noqa: PLC0415 - for what importing it says

            # It asks for a driver where nvidia-ml-py is installed; its trainer will say so.
            with contextlib.suppress(Exception):
                import colpali_engine.utils.gpu_stats  # noqa: F401, PLC0415 - as above
    finally:
        root.removeFilter(_is_needed)
        for line in said.getvalue().splitlines():
            if not line.startswith(_NEEDLESS):
                sys.stdout.write(f"{line}\n")


def _is_needed(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_NEEDLESS)
