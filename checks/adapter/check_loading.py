"""Loading the weights: whether what the file holds reaches the model, and fills all of it."""

from colintern.engine.evidence.loading import LoadPlan
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, INFO, Severity, Verdict

_LEARNING = frozenset(
    {"LIV004", "LIV005", "LIV006", "LIV007", "LIV009", "LIV010", "RES001", "RES002", "RES005"}
)


@rule(
    "ADP023",
    "tensors-lost-in-loading",
    severity=INFO,
    up_to=ERROR,
    explains=_LEARNING
    | {"ADP004", "ADP009", "ADP011", "ADP012", "ADP014"}
    | {"ADP024", "PRC005", "PRJ001", "PRJ002", "PRJ003", "REC006"},
    setting="LoRA reaches",
    advice={"load-with-wrapper"},
)
def check_nothing_is_lost_in_loading(load_plan: LoadPlan) -> Verdict:
    """A loader would drop tensors, draw parameters at random, or refuse the folder.

    Why: loaders fill a model by name and shape. What fits nothing is dropped, and what is missing
        stays as it was drawn, with a warning at most: the model works, and is another one. Other
        settings and shapes are an error only when somebody loads it.
    Evidence: names, types and shapes of the weights; adapter_config.json; the base's weights, else
        what its config.json asks for. It plans PEFT and transformers' `load_adapter`, through which
        colpali-engine and sentence-transformers open an adapter, and the family's class for a
        whole model. A fault of one loader alone names it. Targets (ADP003), A and B (ADP009) and
        unknown layouts (ADP017) are left to their rules.
    Fix: save again with `save_pretrained` of the unwrapped model, whole on one process.
    Source: peft 0.20, `set_peft_model_state_dict`; transformers 5.24, `load_adapter`; TRL issue
        4416, PEFT issues 1300 and 2892; sources B06, B10.
    """
    faults = load_plan.faults
    worst = min((Severity(one.gravity) for one in faults), key=lambda one: one.rank, default=None)
    fixes = [fault.fix for fault in faults if fault.fix]
    return Verdict(
        not faults,
        observed="; ".join(fault.text for fault in faults) or _sound(load_plan),
        expected="every tensor is loaded, and every parameter is filled by one",
        where=load_plan.tensors.path,
        severity=worst,
        fix=fixes[0] if fixes else None,
        explains=None if any(fault.leaves_nothing for fault in faults) else _LEARNING | {"PRC005"},
    )


def _sound(plan: LoadPlan) -> str:
    number = len(plan.tensors.entries)
    if plan.is_exact:
        return f"{number} tensors find their place, by {plan.against}"
    return f"nothing speaks against {number} names and shapes, by {plan.against}"
