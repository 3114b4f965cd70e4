"""What all commands share."""

from typing import Any, Final

CONTEXT: Final[dict[str, Any]] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
}
"""click's settings."""
