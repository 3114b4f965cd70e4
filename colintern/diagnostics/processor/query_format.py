"""How a query became tokens in training and in evaluation: prefix and augmentation.

What changed when (sources D02, read from the tags of both projects):

colpali-engine puts "Query: " before a query up to 0.3.12 and nothing from 0.3.13 on; its collator
appends ten augmentation tokens throughout.

MTEB's wrappers of colpali-engine models format a query once up to 2.0.0, twice from 2.0.1 to
2.12.15 (by hand and again in the processor), once from 2.12.16 on, and from 2.19.2 on always with
"Query: ", whatever the engine's default is. A wrapper of anybody else's formats as it likes.
"""

from collections.abc import Iterable
from typing import Final, Literal

from msgspec import Struct

from colintern.artifacts.printable import listed, printable
from colintern.artifacts.results.evaluation_record import EvaluationRecord
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.artifacts.run.manifest import RunManifest
from colintern.diagnostics.results.result_table import ResultTable, judged_subsets
from colintern.facts.versions import release
from colintern.families.catalogue import mteb_wrappers
from colintern.families.family import Family

PREFIX: Final = "Query: "
AUGMENTATION_TOKENS: Final = 10
"""Of every wrapper, each time a query is formatted."""

Era = Literal["once", "twice", "engine's default", "forced prefix"]

_ERAS: Final[tuple[tuple[tuple[int, ...], Era], ...]] = (
    ((2, 19, 2), "forced prefix"),
    ((2, 12, 16), "engine's default"),
    ((2, 0, 1), "twice"),
    ((0,), "once"),
)
"""First MTEB version of each era, newest first."""


class QueryFormat(Struct, frozen=True):
    """What is known of a format; a field that is not known is None."""

    prefix: str | None = None
    suffix: str | None = None
    num_augmentation_tokens: int | None = None
    source: str = ""
    """Where it was read from, for a person."""

    @property
    def known(self) -> bool:
        """Whether anything can be compared."""
        return any(
            value is not None for value in (self.prefix, self.suffix, self.num_augmentation_tokens)
        )

    def agrees_with(self, other: "QueryFormat") -> bool | None:
        """Compare what both know; None when they know nothing in common."""
        pairs = (
            (self.prefix, other.prefix),
            (self.suffix, other.suffix),
            (self.num_augmentation_tokens, other.num_augmentation_tokens),
        )
        both = [(mine, theirs) for mine, theirs in pairs if mine is not None and theirs is not None]
        return all(mine == theirs for mine, theirs in both) if both else None

    def __str__(self) -> str:
        parts = []
        if self.prefix is not None:
            parts.append(f'prefix "{printable(self.prefix, limit=40)}"')
        if self.suffix is not None:
            parts.append(f"suffix {_compact(self.suffix)}")
        if self.num_augmentation_tokens is not None:
            parts.append(f"{self.num_augmentation_tokens} augmentation tokens")
        return f"{', '.join(parts) or 'unknown'} ({self.source})"


def _compact(text: str) -> str:
    """Show a suffix of one repeated token as the token and its number."""
    token = text[: text.find(">") + 1]
    times = len(text) // len(token) if token else 0
    if times > 1 and token * times == text:
        return f'{times} x "{printable(token, limit=40)}"'
    return f'"{printable(text, limit=60)}"'


def training_format(
    manifest: RunManifest | None,
    *,
    processor_prefix: str | None,
    engine_version: str | None,
    family: Family | None,
) -> QueryFormat:
    """Tell how queries were formatted in training.

    Args:
        manifest: of the run; it decides.
        processor_prefix: `query_prefix` that the saved processor holds.
        engine_version: of colpali-engine at training, which decides for the families whose prefix
            follows from it.
        family: None where it is not known.
    """
    if manifest and (recorded := manifest.processor):
        found = QueryFormat(
            recorded.query_prefix, recorded.query_suffix, source="colintern_run.json"
        )
        if found.known:
            return found
    if processor_prefix is not None:
        return QueryFormat(processor_prefix, source="processor_config.json")
    version = release(engine_version)
    prefix = None if family is None or version is None else family.prefix_in(version)
    if family is None or prefix is None:
        return QueryFormat(source="not recorded")
    source = f"colpali-engine {printable(engine_version, limit=20)}"
    return QueryFormat(prefix, None, family.num_augmentation_tokens, source)


def evaluation_formats(
    record: EvaluationRecord | None, results: TaskResults | None, meta: ModelMeta | None
) -> tuple[QueryFormat, ...]:
    """Tell how queries were formatted in evaluation, one entry for each way that was used."""
    if record is not None:
        found = QueryFormat(record.query_prefix, record.query_suffix, source="colintern_eval.json")
        if found.known:
            return (found,)
    if results is None or meta is None or not is_mteb_wrapper(meta):
        return ()
    return tuple(_format_of(version) for version in _versions(results, results.tasks))


def is_mteb_wrapper(meta: ModelMeta) -> bool:
    """Whether the results are of one of MTEB's wrappers that the eras are of."""
    return meta.loader in mteb_wrappers()


def query_eras(results: TaskResults, tasks: Iterable[str]) -> frozenset[Era]:
    """Return the ways in which MTEB's wrappers formatted the queries of `tasks`."""
    return frozenset(era for version in _versions(results, tasks) if (era := era_of(version)))


def mixed_benchmarks(
    results: TaskResults, meta: ModelMeta, table: ResultTable
) -> tuple[str, ...] | None:
    """Describe the benchmarks whose tasks were certainly formatted in different ways.

    None when the wrapper is not one of MTEB's for colpali-engine, or no version is recorded.
    """
    if not is_mteb_wrapper(meta):
        return None
    tasks = {row.benchmark.name: [task.name for task in row.tasks] for row in table.benchmarks}
    eras = {name: query_eras(results, names) for name, names in tasks.items()}
    if not any(eras.values()):
        return None
    return tuple(
        f"{name}: mteb {listed(_versions(results, tasks[name]))}"
        for name, ways in eras.items()
        if certainly_mixed(ways)
    )


def certainly_mixed(eras: frozenset[Era]) -> bool:
    """Whether two of the eras differ for every version of the engine: formatting twice does."""
    return "twice" in eras and len(eras) > 1


def era_of(mteb_version: str) -> Era | None:
    """Return the era of an MTEB version; None for what is no version."""
    version = release(mteb_version)
    return next((era for first, era in _ERAS if version and version >= first), None)


def _format_of(mteb_version: str) -> QueryFormat:
    era = era_of(mteb_version)
    source = f"mteb {printable(mteb_version, limit=20)}"
    if era is None:
        return QueryFormat(source=source)
    return QueryFormat(
        PREFIX if era == "forced prefix" else None,
        None,
        2 * AUGMENTATION_TOKENS if era == "twice" else AUGMENTATION_TOKENS,
        source,
    )


def _versions(results: TaskResults, tasks: Iterable[str]) -> tuple[str, ...]:
    versions = {
        scores.mteb_version
        for name in tasks
        if name in results.tasks
        for scores in judged_subsets(results.tasks[name])
        if scores.mteb_version is not None
    }
    return tuple(sorted(versions))
