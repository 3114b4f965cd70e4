"""What the command line asked of an evaluation. Free of torch."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from colintern.artifacts.results.search import GUIDE_RESULTS


@dataclass(frozen=True, slots=True)
class Settings:
    """The options that `colintern evaluate` and `colintern vidore-eval` share."""

    model: str
    benchmarks: tuple[str, ...]
    batch_size: int
    results: Path
    data: Path | None
    device: str | None
    base: str | None
    family: str | None

    @classmethod
    def of(cls, model: str, options: Mapping[str, Any]) -> "Settings":
        """Take them from the command line."""
        return cls(
            model=model,
            benchmarks=tuple(options["benchmarks"]) + tuple(options["more"]),
            batch_size=options["batch_size"],
            results=Path(options["results_dir"] or GUIDE_RESULTS),
            data=Path(options["data_dir"]).expanduser() if options["data_dir"] else None,
            device=options["device"],
            base=options["base"],
            family=options["family"],
        )
