"""Figures that no whole number of queries gives: edited, rounded, or of another set of queries.

Every query either finds a page among its first k or does not, so a share of queries times their
number is whole, and so is precision at k times k times their number. With one relevant page a query
NDCG and recall also give the number of queries at each rank. In 50,000 published figures this holds
without exception, once the number of queries is that of the dataset revision (sources M12).
"""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Final, Literal

from msgspec import Struct

from colintern.artifacts.printable import listed, printable
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.task_result import METRIC, SubsetScores, TaskResult
from colintern.diagnostics.results.benchmarks import (
    DISCOUNTS_AT_5,
    TASKS,
    Task,
    are_possible,
    rank_shares,
)
from colintern.diagnostics.results.dataset_revisions import REVISION_START, known_revisions

FIGURE_ERROR: Final = 1e-5
"""Of a figure that was rounded to five decimals, or cut off there."""
MAX_TOLERANCE: Final = 0.35
"""In queries: a figure whose rounding leaves more says little about whole numbers."""
MOST_QUERIES: Final = 2_000
"""Numbers of queries that are tried for a set that is not the task's; v1 to v3 have up to 1,663."""
MIN_FIGURES: Final = 4
"""Different shares from which another number of queries is told: with fewer any number fits."""
MIN_ODDS: Final = 1e5
"""Against chance, before figures that fit the task's queries are said to be of a part of them."""
SHORT_DECIMALS: Final = 3
"""Decimals at which a figure is rounded; MTEB writes five or more."""
MIN_ROUNDED: Final = 6
"""Different figures that are all short before a file counts as rounded."""
USUAL_METRICS: Final = frozenset(
    f"{metric}_at_{k}" for metric in ("ndcg", "map", "recall", "precision") for k in (1, 5, 10)
)
"""What every harness in every version writes."""
MIN_USUAL: Final = 3
"""Of these, how many a file must hold."""

_OTHER_COUNTS: Final[Mapping[str, Mapping[str, int]]] = {
    "VidoreDocVQARetrieval": {"b1d89eda849e": 500},
    "VidoreInfoVQARetrieval": {"fec9c59496dd": 500},
}
"""Queries at an older revision, which repeats some questions (sources I07, M12)."""

FaultKind = Literal["impossible", "other queries", "rounded", "few figures"]


class QueryFault(Struct, frozen=True):
    """One subset of one task whose figures are not those of its queries."""

    kind: FaultKind
    task: TaskResult
    subset: str
    text: str

    @property
    def is_grave(self) -> bool:
        """Whether no evaluation can have given the figures."""
        return self.kind == "impossible"

    def __str__(self) -> str:
        name = printable(self.task.task_name, limit=80)
        place = "" if self.subset == "default" else f" ({printable(self.subset, limit=40)})"
        return f"{name}{place}: {self.text}"


class _Share(Struct, frozen=True):
    """A figure that is a whole number of things a query."""

    name: str
    value: float
    per_query: int
    """Of these things: the ranks that precision counts, else 1."""

    def tolerance(self, num_queries: int) -> float:
        return self.per_query * num_queries * FIGURE_ERROR + 1e-6

    def is_whole(self, num_queries: int) -> bool:
        count = self.value * self.per_query * num_queries
        return abs(count - round(count)) <= self.tolerance(num_queries)

    def tells(self, num_queries: int) -> bool:
        return self.tolerance(num_queries) <= MAX_TOLERANCE

    def is_not_whole(self, num_queries: int) -> bool:
        return self.tells(num_queries) and not self.is_whole(num_queries)


def query_faults(results: TaskResults) -> tuple[QueryFault, ...]:
    """Find the subsets whose figures no evaluation of their queries gives; one fault each."""
    return tuple(
        QueryFault(kind, result, scores.subset, text)
        for result in results.tasks.values()
        for scores in result.subsets
        for kind, text in _first(_faults(result, scores))
    )


def num_judged(results: TaskResults) -> int:
    """Count the tasks whose number of queries is known."""
    return sum(1 for name in results.tasks if name in TASKS and TASKS[name].num_queries)


def query_counts(task: Task, revision: str | None) -> tuple[int, ...]:
    """Return the number of queries at a revision of the data; every known one of an unknown one."""
    others = _OTHER_COUNTS.get(task.name, {})
    start = (revision or "")[:REVISION_START]
    if start in others:
        return (others[start],)
    own = (task.num_queries,) if task.num_queries else ()
    return own if start in known_revisions(task.name) else (*own, *others.values())


def _first(faults: Iterator[tuple[FaultKind, str]]) -> Iterator[tuple[FaultKind, str]]:
    for fault in faults:
        yield fault
        return


def _faults(result: TaskResult, scores: SubsetScores) -> Iterator[tuple[FaultKind, str]]:
    task = TASKS.get(result.task_name)
    if task is None:
        return
    figures = {
        name: value
        for name, value in scores.metrics.items()
        if math.isfinite(value) and 0 <= value <= 1
    }
    held = USUAL_METRICS & scores.metrics.keys()
    if len(held) < MIN_USUAL:
        named = listed(scores.metrics.keys()) or "main_score"
        yield (
            "few figures",
            f"only {named}, where every evaluation writes {len(USUAL_METRICS)} more",
        )
        return
    if (decimals := _decimals(figures)) is not None:
        yield "rounded", f"all figures have at most {decimals} decimals, where MTEB writes five"
        return
    counts = query_counts(task, result.dataset_revision)
    if counts:
        yield from _count_faults(figures, counts, single_relevant=task.single_relevant)
        if task.single_relevant:
            yield from _rank_faults(figures, counts[0], task.num_pages or 0)


def _decimals(figures: Mapping[str, float]) -> int | None:
    """Return the decimals that no figure exceeds; None for more than `SHORT_DECIMALS`."""
    ndcg = {value for name, value in figures.items() if name.startswith("ndcg") and 0 < value < 1}
    values = {value for value in figures.values() if 0 < value < 1}
    # NDCG is hardly ever short by itself; recall of 100 or 500 queries always is.
    if len(values) < MIN_ROUNDED or len(ndcg) < 2:  # noqa: PLR2004 - one may be short by chance
        return None
    for decimals in range(1, SHORT_DECIMALS + 1):
        if all(abs(value - round(value, decimals)) < 1e-9 for value in values):  # noqa: PLR2004
            return decimals
    return None


def _count_faults(
    figures: Mapping[str, float], counts: Collection[int], *, single_relevant: bool
) -> Iterator[tuple[FaultKind, str]]:
    shares = tuple(_shares(figures, single_relevant=single_relevant))
    usual = min(counts)
    wrong = min(([s for s in shares if s.is_not_whole(count)] for count in counts), key=len)
    # Where most figures are of the task's queries, single ones were changed.
    is_of_others = not wrong or 2 * len(wrong) > len(shares)
    if is_of_others and (other := _other_count(shares, counts)) is not None:
        yield "other queries", f"the figures are of {other} queries, the task has {usual}"
    elif wrong:
        share = wrong[0]
        count = share.value * share.per_query * usual
        unit = "pages" if share.per_query > 1 else "queries"
        text = f"{share.name.replace('_at_', '@')} {share.value:.5g} of {usual} queries"
        yield "impossible", f"{text} is {count:.2f} {unit}, no whole number"


def _shares(figures: Mapping[str, float], *, single_relevant: bool) -> Iterator[_Share]:
    """Yield the figures that count queries; recall only does where every query has one page."""
    whole = {"hit_rate", "cv_recall"} | ({"recall"} if single_relevant else set())
    for name, value in figures.items():
        match = METRIC.fullmatch(name)
        if match is None:
            continue
        metric, k = match[1], int(match[2])
        if metric == "precision":
            yield _Share(name, value, k)
        elif metric in whole or (metric == "mrr" and k == 1):
            yield _Share(name, value, 1)


def _other_count(shares: Collection[_Share], counts: Collection[int]) -> int | None:
    """Find the smallest number of queries that all figures are whole with, and not by chance.

    Figures of 500 queries that are all of 50 as well happen once in 10 for each different one.
    """
    for count in range(1, MOST_QUERIES + 1):
        told = [share for share in shares if share.tells(count)]
        different = {round(s.value * s.per_query, 4) for s in told if 0 < s.value < 1}
        if len(different) < MIN_FIGURES:
            return None
        if not all(share.is_whole(count) for share in told):
            continue
        if count in counts:
            return None
        multiples = [known // count for known in counts if known % count == 0]
        is_chance = any(times ** len(different) < MIN_ODDS for times in multiples)
        return None if is_chance else count
    return None


def _rank_faults(
    figures: Mapping[str, float], num_queries: int, num_pages: int
) -> Iterator[tuple[FaultKind, str]]:
    """With one relevant page a query, each rank holds a whole number of queries."""
    shares = rank_shares(figures)
    if shares is None or not are_possible(shares):
        return
    for rank, (share, tolerance) in enumerate(zip(shares, _TOLERANCES, strict=True), start=1):
        count = share * num_queries
        allowed = tolerance * num_queries + 1e-6
        if allowed <= MAX_TOLERANCE and abs(count - round(count)) > allowed:
            text = f"NDCG and recall at 1 to 5 put {count:.2f} of {num_queries} queries"
            yield "impossible", f"{text} at rank {rank}"
    for earlier, later in ((5, 10), (10, 20), (20, 100)):
        if later <= num_pages:
            yield from _gain_faults(figures, earlier, later)


def _gain_faults(
    figures: Mapping[str, float], earlier: int, later: int
) -> Iterator[tuple[FaultKind, str]]:
    """What NDCG gains between two cut-offs lies between all queries at the first and last rank."""
    names = [f"{metric}_at_{k}" for metric in ("recall", "ndcg") for k in (earlier, later)]
    if not all(name in figures for name in names):
        return
    found = figures[names[1]] - figures[names[0]]
    gain = figures[names[3]] - figures[names[2]]
    low, high = found / math.log2(later + 1), found / math.log2(earlier + 2)
    if not low - 3 * FIGURE_ERROR <= gain <= high + 3 * FIGURE_ERROR:
        text = f"recall rises by {found:.5g} from {earlier} to {later}, NDCG by {gain:.5g}"
        yield "impossible", f"{text}, which must be {low:.5g} to {high:.5g}"


def _tolerance_of_two(discounts: tuple[float, ...]) -> float:
    """Rounding error of a share that follows from two differences of rounded figures."""
    return 2 * FIGURE_ERROR * (1 + discounts[0]) / (discounts[0] - discounts[1])


_TOLERANCES: Final = (
    FIGURE_ERROR,
    *2 * (_tolerance_of_two(DISCOUNTS_AT_5[1:3]),),
    *2 * (_tolerance_of_two(DISCOUNTS_AT_5[3:5]),),
)
"""Of the share at each of the first five ranks."""
