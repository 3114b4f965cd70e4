"""The benchmarks as tables: tasks, language subsets, main metric, and how large each task is.

Task lists, subsets and metrics are those of `mteb.get_benchmark` in mteb 2.26. Pages, queries and
relevant pages are computed from the descriptive statistics that mteb 2.26 ships: queries are
`num_relevant_docs / average_relevant_docs_per_query`, pages are `num_samples` less the queries.
"""

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from msgspec import Struct

TEST_SPLIT: Final = "test"
"""The split of every ViDoRe task in every version of MTEB."""

_DEFAULT: Final = frozenset({"default"})
_FOUR: Final = frozenset({"english", "french", "german", "spanish"})
_SIX: Final = _FOUR | {"italian", "portuguese"}

DISCOUNTS_AT_5: Final = tuple(1 / math.log2(rank + 1) for rank in range(1, 6))
"""What a relevant page at each of the first five ranks adds to DCG."""


class Task(Struct, frozen=True):
    """One task of a benchmark."""

    name: str
    """MTEB's name."""
    num_pages: int | None
    """Pages that each query is compared with; None where the corpus is made anew for each run."""
    num_queries: int | None
    """Queries of one language subset."""
    mean_relevant: float
    """Relevant pages of a query, on average; exactly 1 where every query has one."""
    subsets: frozenset[str] = _DEFAULT
    """`hf_subset` names, all of which belong to the task's score."""
    public: bool = True
    """Whether its data can be had: the closed tasks are evaluated by MTEB's maintainers."""

    @property
    def single_relevant(self) -> bool:
        """Every query has exactly one relevant page."""
        return self.mean_relevant == 1

    @property
    def random_ndcg_at_5(self) -> float | None:
        """NDCG@5 that a random ranking is expected to have.

        With one relevant page of N it is 2.9485 / N. With R it is R times that gain over the gain
        of the best ranking, taken at the mean R.
        """
        if self.num_pages is None:
            return None
        gain = sum(DISCOUNTS_AT_5)
        return self.mean_relevant * gain / self.num_pages / _best_dcg_at_5(self.mean_relevant)

    @property
    def random_ndcg_at_5_error(self) -> float | None:
        """Standard error of a random ranking's NDCG@5 over the queries of all subsets."""
        if self.num_pages is None or self.num_queries is None:
            return None
        square = sum(gain**2 for gain in DISCOUNTS_AT_5) * self.mean_relevant / self.num_pages
        num_queries = self.num_queries * len(self.subsets)
        return math.sqrt(square / num_queries) / _best_dcg_at_5(self.mean_relevant)


class Benchmark(Struct, frozen=True):
    """A set of tasks with one average."""

    name: str
    """MTEB's name, as `ViDoRe(v1)`."""
    tasks: tuple[Task, ...]
    metric: str
    """What MTEB takes as `main_score`."""
    banded: bool = False
    """Whether the guide's bands of NDCG@5 apply: sources N10, ViDoRe v1 and the generated pages."""

    @property
    def task_names(self) -> frozenset[str]:
        """The names of all tasks."""
        return frozenset(task.name for task in self.tasks)


VIDORE_V1: Final = Benchmark(
    "ViDoRe(v1)",
    (
        Task("VidoreArxivQARetrieval", 500, 500, 1),
        Task("VidoreDocVQARetrieval", 500, 451, 1.109),
        Task("VidoreInfoVQARetrieval", 500, 494, 1.012),
        Task("VidoreTabfquadRetrieval", 70, 280, 1),
        Task("VidoreTatdqaRetrieval", 277, 1646, 1.010),
        Task("VidoreShiftProjectRetrieval", 1000, 100, 1),
        Task("VidoreSyntheticDocQAAIRetrieval", 968, 100, 1),
        Task("VidoreSyntheticDocQAEnergyRetrieval", 977, 100, 1),
        Task("VidoreSyntheticDocQAGovernmentReportsRetrieval", 972, 100, 1),
        Task("VidoreSyntheticDocQAHealthcareIndustryRetrieval", 965, 100, 1),
    ),
    "ndcg_at_5",
    banded=True,
)
VIDORE_V2: Final = Benchmark(
    "ViDoRe(v2)",
    (
        Task("Vidore2ESGReportsRetrieval", 1538, 57, 3.895, _FOUR),
        Task("Vidore2EconomicsReportsRetrieval", 452, 58, 15.638, _FOUR),
        Task("Vidore2BioMedicalLecturesRetrieval", 1016, 160, 3.219, _FOUR),
        Task("Vidore2ESGReportsHLRetrieval", 1538, 52, 2.462),
    ),
    "ndcg_at_5",
)


def _version_3(suffix: str) -> tuple[Task, ...]:
    sizes = (
        ("FinanceEn", 2942, 309, 4.728),
        ("Industrial", 5244, 283, 5.703),
        ("ComputerScience", 1360, 215, 4.879),
        ("Pharmaceuticals", 2313, 364, 4.758),
        ("Hr", 1110, 318, 5.443),
        ("FinanceFr", 2384, 320, 4.588),
        ("Physics", 1674, 302, 7.212),
        ("Energy", 2225, 308, 3.581),
        ("Telecom", 4627, 348, 4.486),
        ("Nuclear", 2814, 332, 4.702),
    )
    return tuple(
        Task(
            f"Vidore3{domain}Retrieval{suffix}",
            num_pages,
            num_queries,
            mean_relevant,
            _SIX,
            public=domain not in {"Telecom", "Nuclear"},
        )
        for domain, num_pages, num_queries, mean_relevant in sizes
    )


VIDORE_V3: Final = Benchmark("ViDoRe(v3)", _version_3(""), "ndcg_at_10")
VIDORE_V3_1: Final = Benchmark("ViDoRe(v3.1)", _version_3(".v2"), "ndcg_at_10")
"""The pages of v3 with their text beside the image: not comparable with v3."""

PAGES: Final = Benchmark(
    "pages", (Task("ColInternPagesRetrieval", 300, 300, 1),), "ndcg_at_5", banded=True
)
"""The page-retrieval benchmark that colintern generates."""

BENCHMARKS: Final = (VIDORE_V1, VIDORE_V2, VIDORE_V3, VIDORE_V3_1, PAGES)
TASKS: Final = MappingProxyType(
    {task.name: task for benchmark in BENCHMARKS for task in benchmark.tasks}
)
"""Every task by name."""
BENCHMARK_OF: Final = MappingProxyType(
    {task.name: benchmark for benchmark in BENCHMARKS for task in benchmark.tasks}
)
"""The benchmark that a task belongs to."""


def _best_dcg_at_5(num_relevant: float) -> float:
    """DCG of the best ranking, linear between whole numbers of relevant pages."""
    return sum(
        gain * min(1.0, max(0.0, num_relevant - rank)) for rank, gain in enumerate(DISCOUNTS_AT_5)
    )


RANK_METRICS: Final = ("ndcg_at_1", "ndcg_at_3", "ndcg_at_5", "recall_at_3", "recall_at_5")
"""What the shares follow from."""
SHARE_TOLERANCE: Final = 1e-3
"""How far a share may lie outside [0, 1]: rounding to five decimals leaves 5e-4 at ranks 4 and 5,
and 2e-4 in all 354 published results; one query of 500 is 2e-3."""


def rank_shares(metrics: Mapping[str, float]) -> tuple[float, ...] | None:
    """Return the share of queries whose one page came first, second, ... fifth.

    A page at rank r adds 1 / log2(r + 1) to NDCG and 1 to recall at every cut-off from r on, so
    NDCG at 1, 3, 5 and recall at 3, 5 are five equations for five shares. None where one is absent.
    """
    if any(name not in metrics for name in RANK_METRICS):
        return None
    ndcg_1, ndcg_3, ndcg_5, recall_3, recall_5 = (metrics[name] for name in RANK_METRICS)
    second, third = _two_shares(recall_3 - ndcg_1, ndcg_3 - ndcg_1, DISCOUNTS_AT_5[1:3])
    fourth, fifth = _two_shares(recall_5 - recall_3, ndcg_5 - ndcg_3, DISCOUNTS_AT_5[3:5])
    return ndcg_1, second, third, fourth, fifth


def are_possible(shares: tuple[float, ...]) -> bool:
    """Whether every share is one; NaN is not."""
    return all(-SHARE_TOLERANCE <= share <= 1 + SHARE_TOLERANCE for share in shares)


def _two_shares(found: float, gain: float, discounts: tuple[float, ...]) -> tuple[float, float]:
    """Split the queries `found` at two neighbouring ranks so that they add `gain`."""
    earlier = (gain - discounts[1] * found) / (discounts[0] - discounts[1])
    return earlier, found - earlier
