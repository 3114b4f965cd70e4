"""The values of the weights: whether they can be what training left."""

from colintern.engine.evidence.values import ImpossibleValues
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, Verdict


@rule(
    "ADP024",
    "impossible-values",
    severity=ERROR,
    requires={"ADP010"},
    explains={
        "ADP011",
        "ADP012",
        "ADP013",
        "ADP014",
        "LIV001",
        "LIV004",
        "LIV007",
        "LIV009",
        "LIV010",
        "PRJ002",
        "REC001",
        "RES001",
        "RES002",
        "RES005",
        "RES007",
    },
    advice={"load-with-wrapper"},
)
def check_values_can_be_trained(impossible_values: ImpossibleValues) -> Verdict:
    """Matrices hold values that training cannot have left: zeros, constants, copies, extremes.

    Why: lora_A starts at random and a projection never becomes zero. A matrix of zeros or of one
        value was never filled; equal matrices of two layers were written over one another; values
        that are too small are lost in bf16, and none is above a thousand. Such weights are finite,
        have the right names and shapes, and load without a warning.
    Evidence: the largest magnitude of every matrix, from one pass over the weights; the beginning
        of each for constants, and all of those that begin alike for copies; each row of the
        projection. Norms, biases and embeddings are not judged; a `lora_B` of zeros is ADP011's and
        ADP012's, an adapter's projection of zeros PRJ002's.
    Fix: take the weights of the last checkpoint without it; find the code that wrote them so.
    Source: PEFT, `reset_lora_parameters`; bf16 has 8 bits of precision; sources M08: the largest
        value in 22 public adapters is 1.9.
    """
    faults = impossible_values.faults
    return Verdict(
        not faults,
        observed="; ".join(str(fault) for fault in faults)
        or f"{impossible_values.num_judged} tensors hold nothing impossible",
        expected="different values of usual size in every matrix",
        where=impossible_values.tensors.path,
        fix=faults[0].fix if faults else None,
    )
