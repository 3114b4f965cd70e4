"""LIV: what the running model scores, and whether that is what it is said to score."""

from typing import Final

from colintern.artifacts.printable import printable
from colintern.artifacts.run.layout import RunLayout
from colintern.diagnostics.live_measurements import (
    MergeEffect,
    Reproduction,
    Retrieval,
    Spread,
)
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, WARNING, Verdict

MERGE_TOLERANCE: Final = 0.02
"""Share of a score; a merge in bfloat16 changes a loss of 2.1178 to 2.1214 (PEFT issue 1388)."""

REPRODUCED: Final = 0.02
"""NDCG@5 by which bfloat16 and another attention may differ from what was recorded: 0.0025 on the
bundled run (sources M15)."""

COLLAPSED_COSINE: Final = 0.9
COLLAPSED_SCORES: Final = 1e-3
"""Cosine between vectors of different pages, and variation of scores, of collapse (sources F06)."""


@rule(
    "LIV007",
    "cannot-find-its-pages",
    severity=ERROR,
    requires={"LIV006"},
    explains={"LIV010", "RES001", "RES002", "RES005"},
)
def check_pages_are_found(live_retrieval: Retrieval, layout: RunLayout) -> Verdict:
    """The model ranks the pages that it was trained for like a random ranking.

    Why: whatever the files say, it did not learn.
    Evidence: NDCG@5 on the generated pages, for a model trained on such pages, or on those of
        `--live-pages`.
    Fix: see which rule on the adapter, the projection or the training log fails too.
    Source: definition: a random ranking of N pages has 2.9485 / N; it counts as chance below three
        times that and within three standard errors of it, as in RES005 (sources I18).
    """
    limit = live_retrieval.limit
    return Verdict(
        live_retrieval.ndcg_at_5 > limit,
        observed=f"NDCG@5 {live_retrieval.ndcg_at_5:.3f} on {live_retrieval.num_pages} pages",
        expected=f"above {limit:.3f}, which a random ranking may reach",
        where=layout.path,
    )


@rule("LIV008", "merge-changes-scores", severity=WARNING, requires={"LIV006"})
def check_merge_keeps_scores(live_merge_effect: MergeEffect, layout: RunLayout) -> Verdict:
    """Scores after the merge differ from those before by more than rounding.

    Why: the merged model is what is served; a merge in half precision, or a wrong one, loses what
        was trained.
    Evidence: MaxSim of eight queries and eight pages, with the adapter and with `--merged`, else
        merged in memory.
    Fix: merge once, on the recorded base, in its own type: `colintern merge`.
    Source: sources B15; PEFT issue 1388.
    """
    change, error = live_merge_effect.largest_score_change, live_merge_effect.error
    return Verdict(
        error is None and change <= MERGE_TOLERANCE,
        observed=f"the merged model: {printable(error, limit=300)}"
        if error
        else f"scores change by up to {change:.2%}",
        expected=f"by at most {MERGE_TOLERANCE:.0%}",
        where=layout.path,
    )


@rule(
    "LIV009",
    "query-page-collapse",
    severity=ERROR,
    requires={"LIV006"},
    explains={"LIV007", "LIV010", "RES001"},
)
def check_pages_are_told_apart(live_spread: Spread, layout: RunLayout) -> Verdict:
    """Different pages have the same vectors, or the same scores.

    Why: embeddings that fall into one narrow cone rank at random, however low the loss looked.
    Evidence: the mean cosine between vectors of different pages, and how scores vary over pages.
    Fix: lower the learning rate, lengthen the warm-up, check temperature and normalisation.
    Source: sources F06; colpali issue 294.
    """
    cosine, variation = live_spread.mean_cosine, live_spread.score_variation
    return Verdict(
        cosine <= COLLAPSED_COSINE and variation >= COLLAPSED_SCORES,
        observed=f"mean cosine {cosine:.3f} between pages, scores vary by {variation:.2%}",
        expected=f"cosine at most {COLLAPSED_COSINE}, variation at least {COLLAPSED_SCORES:.1%}",
        where=layout.path,
    )


@rule("LIV010", "results-not-reproduced", severity=ERROR, requires={"LIV006"})
def check_results_are_reproduced(live_reproduction: Reproduction, layout: RunLayout) -> Verdict:
    """The model scores otherwise than its own results say.

    Why: then the results are of other weights, of another base, query format or resolution, or they
        were edited; nobody who loads this checkpoint gets them.
    Evidence: NDCG@5 of a result on the generated pages, of the same revision, beside the model's
        own on the same pages now.
    Fix: evaluate again: `colintern evaluate --model-path RUN --benchmarks pages`.
    Source: definition; sources D02, I04, J10.
    """
    now, recorded = live_reproduction.now, live_reproduction.recorded
    return Verdict(
        abs(now - recorded) <= REPRODUCED,
        observed=f"NDCG@5 {now:.3f} now, {recorded:.3f} in the results",
        expected=f"within {REPRODUCED} of the results",
        where=layout.path,
    )
