"""Which versions of the training stack declare that they work together."""

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from msgspec import Struct

from colintern.artifacts.printable import printable
from colintern.artifacts.run.manifest import RunManifest
from colintern.families.family import Family

_RELEASE: Final = re.compile(r"v?(\d{1,9}(?:\.\d{1,9}){0,5})(?![\d])")


def release(version: str | None) -> tuple[int, ...] | None:
    """Return the numbers of a version; a development version counts as the release it leads to.

    Trailing zeros are dropped, so 5.3 and 5.3.0 are equal.

    >>> release("5.3.0.dev0")
    (5, 3)
    """
    match = _RELEASE.match(version or "")
    if match is None:
        return None
    numbers = [int(number) for number in match[1].split(".")]
    while len(numbers) > 1 and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


ENGINE: Final = "colpali-engine"


class Bounds(NamedTuple):
    """An interval of versions: `lowest` belongs to it, `below` does not."""

    lowest: str | None
    below: str | None

    def admits(self, version: tuple[int, ...]) -> bool:
        """Whether a version lies within."""
        lowest, below = release(self.lowest), release(self.below)
        return (lowest is None or version >= lowest) and (below is None or version < below)

    def __str__(self) -> str:
        parts = [f">={self.lowest}" if self.lowest else "", f"<{self.below}" if self.below else ""]
        return ",".join(part for part in parts if part)


def _engine(
    transformers: tuple[str, str],
    peft: tuple[str, str],
    torch: tuple[str, str | None],
    accelerate: tuple[str, str],
) -> Mapping[str, Bounds]:
    return {
        "transformers": Bounds(*transformers),
        "peft": Bounds(*peft),
        "torch": Bounds(*torch),
        "accelerate": Bounds(*accelerate),
    }


ENGINE_BOUNDS: Final[Mapping[str, Mapping[str, Bounds]]] = MappingProxyType(
    {
        "0.3.8": _engine(("4.47", "4.48"), ("0.14", "0.15"), ("2.2", None), ("0.34", "1.4")),
        "0.3.9": _engine(("4.50", "4.51"), ("0.14", "0.15"), ("2.2", "2.7"), ("0.34", "1.4")),
        "0.3.10": _engine(("4.51.1", "4.52"), ("0.14", "0.16"), ("2.5", "2.7"), ("0.34", "1.7")),
        "0.3.11": _engine(("4.53.1", "4.54"), ("0.14", "0.16"), ("2.5", "2.8"), ("0.34", "1.9")),
        "0.3.12": _engine(("4.53.1", "4.54"), ("0.14", "0.17"), ("2.5", "2.8"), ("0.34", "1.9")),
        "0.3.13": _engine(("4.53.1", "4.58"), ("0.14", "0.18"), ("2.2", "2.9"), ("0.34", "1.9")),
        "0.3.14": _engine(("5.0", "6.0"), ("0.18", "0.19"), ("2.2", "2.11"), ("1.1", "2.0")),
        "0.3.15": _engine(("5.3", "6.0"), ("0.18", "0.19"), ("2.2", "2.11"), ("1.1", "2.0")),
        "0.3.16": _engine(("5.3", "6.0"), ("0.18", "0.20"), ("2.2", "2.12"), ("1.1", "2.0")),
        "0.3.17": _engine(("5.3", "6.0"), ("0.18", "0.20"), ("2.2", "2.12"), ("1.1", "2.0")),
        "0.3.18": _engine(("5.3", "6.0"), ("0.18", "0.21"), ("2.2", "2.14"), ("1.1", "2.0")),
    }
)
"""What each release of colpali-engine declares, read from the metadata of its wheel on PyPI."""

_ALIASES: Final = {"pytorch": "torch", "hugging-face-transformers": "transformers"}


class Environment(Struct, frozen=True):
    """The packages of one process, as it recorded them."""

    name: str
    """`training` or `evaluation`."""
    versions: Mapping[str, str]
    """Version by distribution name."""

    @classmethod
    def of(cls, name: str, *records: Mapping[str, str | None]) -> "Environment":
        """Merge the records of one process; an earlier one wins."""
        versions: dict[str, str] = {}
        for record in records:
            for package, version in record.items():
                if version is not None:
                    versions.setdefault(distribution_name(package), version)
        return cls(name, versions)


class VersionPair(Struct, frozen=True):
    """Two packages of one environment, one of which declares what it needs of the other."""

    environment: str
    package: str
    version: str
    needed_by: str
    """As `colpali-engine 0.3.18`."""
    bounds: Bounds
    compatible: bool

    def __str__(self) -> str:
        version = printable(self.version, limit=30)
        return (
            f"{self.package} {version} in {self.environment}, "
            f"{printable(self.needed_by, limit=60)} needs {self.bounds}"
        )


def distribution_name(package: str) -> str:
    """Return the name under which a package is installed, as `torch` for Pytorch."""
    name = package.strip().lower().replace("_", "-").replace(" ", "-")
    return _ALIASES.get(name, name)


def version_pairs(environment: Environment, family: Family | None) -> tuple[VersionPair, ...]:
    """Compare what an environment recorded with the bounds declared between its packages."""
    return tuple(_pairs(environment, family))


def unknown_engine(environment: Environment) -> str | None:
    """Return the recorded release of the engine whose declared bounds are not in our table."""
    engine = environment.versions.get(ENGINE)
    return engine if engine is not None and not _engine_bounds(engine) else None


def _engine_bounds(engine: str) -> Mapping[str, Bounds]:
    numbers = release(engine)
    known = (bounds for name, bounds in ENGINE_BOUNDS.items() if release(name) == numbers)
    return next(known, {})


def _pairs(environment: Environment, family: Family | None) -> Iterator[VersionPair]:
    engine = environment.versions.get(ENGINE, "")
    for package, bounds in _engine_bounds(engine).items():
        yield from _pair(environment, package, bounds, f"{ENGINE} {engine}")
    if family is not None and family.transformers_since is not None:
        needed = Bounds(family.transformers_since, None)
        yield from _pair(environment, "transformers", needed, family.name)


def _pair(
    environment: Environment, package: str, bounds: Bounds, needed_by: str
) -> Iterator[VersionPair]:
    version = environment.versions.get(package)
    numbers = release(version)
    if version is None or numbers is None:
        return
    yield VersionPair(environment.name, package, version, needed_by, bounds, bounds.admits(numbers))


_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def missing_provenance(manifest: RunManifest | None, git_hash: str | None) -> list[str]:
    """Name what was not recorded.

    Args:
        manifest: of the run.
        git_hash: content of git_hash.txt, which colpali-engine writes; it may be empty or of
            whatever repository the training was started in.
    """
    missing = [] if manifest else ["the run manifest colintern_run.json"]
    commits = ((manifest.git_commit if manifest else None) or "", git_hash or "")
    if not any(_COMMIT.fullmatch(commit) for commit in commits):
        missing.append("the commit of the training code")
    datasets = (manifest.datasets if manifest else None) or ()
    if not datasets:
        missing.append("the training data")
    elif not all(dataset.revision for dataset in datasets):
        missing.append("the revision of the training data")
    return missing
