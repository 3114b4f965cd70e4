"""What all commands share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

CONTEXT: Final[dict[str, Any]] = {
    "help_option_names": ["-h", "--help"],
    "max_content_width": 100,
}
"""click's settings."""


WITHOUT_UV: Final = (
    "`pip install uv` brings uv. Plain pip may take torch and torchvision from different package "
    "indexes, and such a pair cannot be imported: with it, install both from one index first "
    "(pip install torch torchvision --index-url URL), then the rest"
)
"""Why the hints say uv, and what to do without it."""


@contextmanager
def extra(name: str) -> Iterator[None]:
    """Say which extra of the package is needed, where a library that it brings is missing."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"colintern", "pytest_colintern", "checks"}:
            raise
        raise click.UsageError(
            f"this needs the extra `{name}` ({error.name} is missing): "
            f"uv pip install 'colintern[{name}]', or -e '.[{name}]' in a clone. {WITHOUT_UV}"
        ) from error
