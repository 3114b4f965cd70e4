"""LIV: the model itself, loaded and run on some pages. Only with `--live`."""

from typing import Final

from colintern.artifacts.printable import printable
from colintern.artifacts.run.layout import RunLayout
from colintern.diagnostics.live_measurements import (
    BatchEffect,
    LoadReport,
    VectorNorms,
)
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, WARNING, Verdict

NORM_TOLERANCE: Final = 1e-2
"""Of a unit vector in bfloat16 (sources C05)."""

SAME_PASS: Final = 1e-4
"""Change of a number in a unit vector between two passes: another order of summation moves it by
1e-6, dropout of 0.1 in LoRA alone by 1e-2 (sources M15)."""

SAME_COSINE: Final = 0.995
SAME_SCORE: Final = 0.01
"""A vector, and a share of a score, by which batches may differ in bfloat16 (sources G02)."""

LEAST_EFFECT: Final = 1e-3
"""Change of a number in a unit vector below which an adapter does nothing (sources B06)."""


@rule(
    "LIV001",
    "embeddings-not-unit",
    severity=ERROR,
    requires={"LIV006"},
    explains={"LIV010", "RES001", "RES004", "RES005"},
)
def check_embeddings_are_unit(live_norms: VectorNorms, layout: RunLayout) -> Verdict:
    """Embeddings are NaN, not of length 1, or not zero where there is padding.

    Why: MaxSim compares directions; a longer vector wins whatever it says, one NaN wins always, and
        padding that is not zero is matched like a token.
    Evidence: the vectors of eight pages and eight queries, run through the model.
    Fix: normalise with an epsilon, and multiply by the attention mask after that.
    Source: sources C05, G09.
    """
    broken = live_norms.num_not_finite
    deviation, padding = live_norms.largest_deviation, live_norms.largest_padding
    return Verdict(
        not broken and deviation <= NORM_TOLERANCE and padding == 0,
        observed=f"{broken} of {live_norms.num_vectors} vectors not finite, length off 1 by "
        f"{deviation:.2g}, padding of length {padding:.2g}",
        expected=f"finite, off 1 by at most {NORM_TOLERANCE}, padding exactly 0",
        where=layout.path,
    )


@rule(
    "LIV002",
    "not-deterministic",
    severity=ERROR,
    requires={"LIV006"},
    explains={"LIV003", "LIV007", "LIV008", "LIV010"},
)
def check_passes_are_equal(live_repeat_difference: float, layout: RunLayout) -> Verdict:
    """Two passes over the same pages differ: something random is left on.

    Why: dropout that is live at inference changes every score from run to run.
    Evidence: the same eight pages and queries, run twice in evaluation mode.
    Fix: call `model.eval()`; look for dropout that ignores it.
    Source: sources G06.
    """
    return Verdict(
        live_repeat_difference <= SAME_PASS,
        observed=f"two passes differ by {live_repeat_difference:.2g}",
        expected=f"equal vectors, to {SAME_PASS}",
        where=layout.path,
    )


@rule("LIV003", "batch-changes-scores", severity=WARNING, requires={"LIV006"}, explains={"LIV010"})
def check_batches_agree(live_batch_effect: BatchEffect, layout: RunLayout) -> Verdict:
    """A page or query is embedded otherwise in a batch than alone: padding leaks.

    Why: a score then depends on the batch size and on what else is in the batch.
    Evidence: eight pages and eight queries of unequal length, one by one and together.
    Fix: count positions from the first real token, pad on the family's side, pass the mask on.
    Source: sources G02; colpali issue 274.
    """
    cosine, change = live_batch_effect.smallest_cosine, live_batch_effect.largest_score_change
    return Verdict(
        cosine >= SAME_COSINE and change <= SAME_SCORE,
        observed=f"cosine down to {cosine:.4f}, scores off by up to {change:.2%}",
        expected=f"cosine of at least {SAME_COSINE}, scores within {SAME_SCORE:.0%}",
        where=layout.path,
    )


@rule(
    "LIV004",
    "adapter-without-effect",
    severity=ERROR,
    requires={"LIV006"},
    explains={"LIV007", "RES001", "RES005"},
)
def check_adapter_has_effect(live_adapter_effect: float, layout: RunLayout) -> Verdict:
    """The model embeds alike with and without its adapter.

    Why: an adapter whose keys match no module, or that never moved, leaves the base as it is.
    Evidence: eight queries with the adapter and with it switched off.
    Fix: see which rule on the adapter's keys or weights fails too; train again.
    Source: sources B06, B11.
    """
    return Verdict(
        live_adapter_effect > LEAST_EFFECT,
        observed=f"the adapter changes a vector by at most {live_adapter_effect:.2g}",
        expected=f"by more than {LEAST_EFFECT}",
        where=layout.path,
    )


@rule(
    "LIV005",
    "loads-disagree",
    severity=ERROR,
    requires={"LIV006"},
    explains={"LIV007", "LIV010", "RES001", "RES005"},
)
def check_loads_agree(live_load_difference: float, layout: RunLayout) -> Verdict:
    """Two loads give different projections: its matrix is in no file, and drawn anew.

    Why: LoRA on the projection stores a correction of a matrix; without that matrix every load
        corrects another one.
    Evidence: the projection of two loads with different random seeds.
    Fix: train on a base that holds the projection, or list it in `modules_to_save`.
    Source: sources C01; colpali issues 11 and 17.
    """
    return Verdict(
        live_load_difference == 0,
        observed=f"the projection differs by {live_load_difference:.2g} between two loads",
        expected="the same projection at every load",
        where=layout.path,
    )


@rule("LIV006", "weights-not-loaded", severity=ERROR, explains={"RES001", "RES005"})
def check_weights_are_loaded(live_load: LoadReport, layout: RunLayout) -> Verdict:
    """Tensors are missing, left over or unused after loading, or the model cannot be run at all.

    Why: transformers and PEFT only warn: what is missing is random, what is left over is ignored,
        and the model scores like another one.
    Evidence: every tensor of the files beside the loaded model, compared value by value; then eight
        pages and queries through the saved processor. What asks for more layers, memory or pixels
        than its files explain is refused before it is built.
    Fix: use the versions and the base that the checkpoint was made with, or save it again.
    Source: sources B06, B07; colpali issues 413 and 424; PEFT issues 2566 and 2574.
    """
    return Verdict(
        live_load.ok,
        observed=printable(live_load.text, limit=300),
        expected="every tensor loaded once, and a model that embeds pages and queries",
        where=layout.path,
    )
