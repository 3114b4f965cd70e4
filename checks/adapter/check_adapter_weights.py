"""The weights of the LoRA adapter: whether they moved, how, and whether a merge kept them."""

from typing import Final

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.printable import listed
from colintern.diagnostics.adapter.trained_parts import UntrainedParts
from colintern.diagnostics.adapter.update import OUTLIER_RATIO, OUTLIER_Z, LoraUpdates, rank_use
from colintern.diagnostics.merge.verification import MergeVerification, merge_text
from colintern.diagnostics.weights.statistics import WeightStatistics
from colintern.engine.evidence import sources
from colintern.engine.evidence.checkpoints import RepeatedCheckpoints
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, INFO, WARNING, NoEvidence, Verdict

COLLAPSED_SHARE: Final = 0.05
"""Effective rank by rank below which a module uses one direction of many (sources N13)."""


@rule(
    "ADP010",
    "non-finite-weights",
    severity=ERROR,
    explains={"LIV001", "LIV010", "RES001", "RES004", "REC001", "RES007"},
    advice={"load-with-wrapper"},
    floor="finite",
)
def check_weights_are_finite(weight_statistics: WeightStatistics) -> Verdict:
    """Weights are NaN or infinite.

    Why: one NaN spreads to every embedding of every page, and the maximum over NaN is NaN.
    Evidence: every value in the weights, of an adapter or of a whole model up to 64 GiB. Packed
        types of four and six bits have no bits for NaN: such tensors are counted apart.
    Fix: go back to the last finite checkpoint. Where training made them so, and not a change of the
        file since, lower the learning rate, train in bf16 and clip gradients.
    Source: sources B13, C05.
    """
    broken = weight_statistics.non_finite
    names = listed([tensor.name for tensor in broken], most=2)
    count = sum(tensor.num_non_finite for tensor in broken)
    return Verdict(
        not broken,
        observed=f"NaN or infinite values: {count:,}, in {names}"
        if broken
        else _finite_text(weight_statistics),
        expected="finite values only",
        where=weight_statistics.path,
    )


@rule(
    "ADP011",
    "adapter-never-trained",
    severity=ERROR,
    requires={"ADP001"},
    explains={
        "ADP012",
        "LIV004",
        "LIV007",
        "LIV009",
        "LOG002",
        "LOG003",
        "PRJ002",
        "RES001",
        "RES002",
        "RES005",
        "REC001",
        "RES007",
    },
    advice={"load-with-wrapper"},
    fails_if_stopped=True,
    floor="trained",
)
def check_adapter_was_trained(untrained: UntrainedParts, adapter: AdapterConfig) -> Verdict:
    """Every `lora_B` is zero: the adapter changes nothing.

    Why: B starts at zero, so that an adapter begins as no change at all. If all are still zero, no
        gradient reached it, the learning rate was zero, or a fresh adapter overwrote it.
    Evidence: the values of every `lora_B`. An initialisation that starts elsewhere (PiSSA, OLoRA)
        is no evidence once B is not zero.
    Fix: check that `requires_grad` is set, that the adapter is loaded with `is_trainable=True`, and
        that gradient checkpointing has `use_reentrant=False`.
    Source: PEFT, `reset_lora_parameters`; sources A04, B11.
    """
    if not untrained.is_all and not adapter.b_starts_at_zero:
        raise NoEvidence(
            sources.ADAPTER_CONFIG,
            what="an initialisation that starts from B = 0",
            needed_for="telling whether it moved",
        )
    zero, pairs = len(untrained.zero), len(untrained.pairs)
    return Verdict(
        not untrained.is_all,
        observed=f"lora_B is zero in {zero} of {pairs} modules",
        expected="lora_B that moved away from zero",
        where=adapter.path.with_name("adapter_model.safetensors"),
    )


@rule(
    "ADP012",
    "part-never-trained",
    severity=ERROR,
    requires={"ADP001", "ADP010"},
    explains={"ADP013", "RES001", "RES002", "REC001", "RES007"},
    advice={"load-with-wrapper"},
    fails_if_stopped=True,
    floor="trained",
)
def check_parts_were_trained(untrained: UntrainedParts, adapter: AdapterConfig) -> Verdict:
    """Every `lora_B` of a tower, a layer or a kind of module is zero: it was not trained.

    Why: with gradient checkpointing the hook that lets gradients in often sits on one tower only;
        the others get none. A single module that the loss does not reach, such as a pooler, is a
        note.
    Evidence: the values of every `lora_B`, by tower, layer and kind (`v_proj` in every layer).
    Fix: enable input gradients on each tower, or leave the part out of `target_modules`.
    Source: sources B11, B12; unsloth issue 5039; sources M09: an unused `pooler.dense`.
    """
    parts = (*untrained.towers, *untrained.layers) or untrained.kinds
    idle = list(parts or untrained.alone)
    where = adapter.path.with_name("adapter_model.safetensors")
    return Verdict(
        not idle,
        observed=f"lora_B is zero throughout {listed(idle, most=3)}"
        if idle
        else f"all {len(untrained.pairs)} modules moved",
        expected="every tower, layer and kind with LoRA moved",
        where=where,
        severity=ERROR if parts else INFO,
    )


@rule(
    "ADP013",
    "update-outlier",
    severity=WARNING,
    requires={"ADP001", "ADP010"},
    explains={"REC001", "RES007"},
)
def check_updates_are_alike(updates: LoraUpdates) -> Verdict:
    """One module's update is far larger or smaller than those of its kind.

    Why: modules of one kind move alike, with a trend over depth. One that stands out was tampered
        with, took the damage of a loss spike, or was loaded from another run.
    Evidence: the norm of s·B·A of each module, against a line over depth (Theil-Sen) in median
        absolute deviations, among the modules of its kind.
    Fix: look at the module and at the log for a spike; compare with the checkpoint before.
    Source: sources M10: z of 14 or more is in about 5 % of 393 public adapters.
    """
    if not updates.outliers:
        raise NoEvidence(
            sources.ADAPTER_WEIGHTS,
            what="eight trained layers of one kind",
            needed_for="spotting an outlier",
        )
    worst = (updates.suspects or updates.outliers)[0]
    return Verdict(
        not updates.suspects,
        observed=str(worst),
        expected=f"z below {OUTLIER_Z:.0f} or within a factor {OUTLIER_RATIO:.0f}",
        where=updates.path,
    )


@rule(
    "ADP014",
    "rank-collapsed",
    severity=WARNING,
    requires={"ADP001", "ADP010"},
    explains={"REC001", "RES007"},
)
def check_rank_is_used(updates: LoraUpdates) -> Verdict:
    """Most updates use one direction of the many that their rank allows.

    Why: a rank far above what was used is memory for nothing, or a sign that training pushed along
        one direction only, as a diverging or saturated loss does.
    Evidence: effective rank (the exponential of the entropy of the singular values) of each s·B·A.
    Fix: look at learning rate and loss; lower the rank when the results are good.
    Source: Roy and Vetterli 2007; sources M10. A rank of 20 or less could not fail it:
        no evidence.
    """
    use = rank_use(updates, COLLAPSED_SHARE)
    if use is None:
        least = f"a nonzero update of rank above {1 / COLLAPSED_SHARE:.0f}"
        raise NoEvidence(sources.ADAPTER_WEIGHTS, what=least, needed_for="its effective rank")
    return Verdict(
        not use.is_collapsed,
        observed=str(use),
        expected=f"at least {COLLAPSED_SHARE:.0%} of the rank in most of {use.compared} modules",
        where=updates.path,
    )


@rule("ADP019", "checkpoints-identical", severity=ERROR, requires={"ADP001"})
def check_checkpoints_differ(repeated_checkpoints: RepeatedCheckpoints) -> Verdict:
    """Consecutive checkpoints hold the same adapter: nothing was trained between them.

    Why: a frozen adapter is saved again and again while the log goes on.
    Evidence: the bytes of adapter_model.safetensors in neighbouring `checkpoint-N` folders.
    Fix: load an adapter to be continued with `is_trainable=True`; check that its parameters are in
        the optimiser.
    Source: sources A04; colpali pull request 212.
    """
    same = [f"{one} and {other}" for one, other in repeated_checkpoints.identical]
    return Verdict(
        not same,
        observed=f"the same bytes at steps {', '.join(same[:3])}"
        if same
        else f"{repeated_checkpoints.num_compared} checkpoints differ",
        expected="an adapter that changes from checkpoint to checkpoint",
        where=repeated_checkpoints.folder,
    )


@rule(
    "ADP020",
    "merge-wrong",
    severity=ERROR,
    requires={"ADP001"},
    explains={"LIV008", "LIV010", "RES001"},
    advice={"load-with-wrapper"},
)
def check_merge_is_exact(merge: MergeVerification) -> Verdict:
    """The merged model is not its base plus the adapter.

    Why: a merge that was skipped, done twice, scaled otherwise or done on another base loads
        without an error and scores like another model; a layer or a projection that got lost on the
        way is drawn at random by each load.
    Evidence: `--merged` against base and adapter, beyond the rounding of its type: each weight with
        LoRA against the base's plus s·B·A, what the adapter saved in full against its copy, and
        every other tensor of the base. Output layers may be absent, and names of any layout are
        understood. Up to 64 GiB are read, once; what does not compare is named.
    Fix: merge once, on the recorded base, in the base's own type: `merge_and_unload()`; save the
        whole model.
    Source: sources B15; PEFT issue 1388; colpali issue 282.
    """
    if not merge.is_told:
        raise NoEvidence(
            sources.MERGED_MODEL,
            what="weights that compare with the base's",
            needed_for="verifying the merge",
        )
    return Verdict(
        not merge.faults,
        observed=merge_text(merge),
        expected="base + s·B·A within rounding, the adapter's own copies, and else the base",
        where=merge.path,
    )


def _finite_text(statistics: WeightStatistics) -> str:
    packed = len(statistics.unmeasured)
    text = f"{len(statistics.tensors) - packed} tensors are finite"
    return f"{text}; {packed} are of a type without NaN" if packed else text
