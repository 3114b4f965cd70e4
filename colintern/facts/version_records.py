"""Versions of the packages that trained, by everybody who recorded them."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from colintern.facts.fact import Fact, Witness, fact_of
from colintern.facts.versions import distribution_name, release

_COMPARED: Final = (
    *("peft", "transformers", "torch", "colpali-engine", "sentence-transformers"),
    *("accelerate", "datasets", "tokenizers"),
)


def version_facts(
    recorded: Mapping[str, Mapping[str, str | None]],
) -> Iterable[Fact[Any] | None]:
    """Compare versions by release: 2.13.0+cu121 is 2.13, and a development version its release.

    Args:
        recorded: version by package, by the file that states it.
    """
    named = {
        file: {distribution_name(package): version for package, version in versions.items()}
        for file, versions in recorded.items()
    }
    for package in _COMPARED:
        yield fact_of(
            package, [_witness(file, versions.get(package)) for file, versions in named.items()]
        )


def _witness(file: str, version: str | None) -> Witness[tuple[int, ...]] | None:
    numbers = release(version)
    if version is None or numbers is None:
        return None
    return Witness(value=numbers, source=file, shown=version)
