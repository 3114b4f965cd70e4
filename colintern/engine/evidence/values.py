"""Evidence of the values in the judged weights: what no training can have left there."""

from msgspec import Struct

from colintern.artifacts.run.layout import ADAPTER_WEIGHTS
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.weights.impossible_values import adapter_values, model_values
from colintern.diagnostics.weights.statistics import WeightStatistics
from colintern.diagnostics.weights.tensor_values import ValueFault
from colintern.engine.evidence import sources
from colintern.engine.resolver import evidence
from colintern.engine.verdict import NoEvidence
from colintern.families.catalogue import projection_names
from colintern.families.family import Family


class ImpossibleValues(Struct, frozen=True):
    """Matrices of the judged weights that cannot be what training left."""

    tensors: TensorStore
    faults: tuple[ValueFault, ...]
    num_judged: int


@evidence
def impossible_values(
    tensors: TensorStore,
    weight_statistics: WeightStatistics,
    coverage: AdapterCoverage | None,
    family: Family | None,
) -> ImpossibleValues:
    """Constants, copies and extremes among the matrices of an adapter or a whole model."""
    if tensors.path.name != ADAPTER_WEIGHTS:
        names = family.projections if family is not None else projection_names()
        ours = family is not None and family.is_ours
        faults = model_values(tensors, weight_statistics, names, judge_norms=ours)
        return ImpossibleValues(tensors, faults, len(tensors.entries))
    if coverage is None or not coverage.tensors.pairs:
        raise NoEvidence(
            sources.ADAPTER_WEIGHTS,
            what="LoRA matrices A and B",
            needed_for="judging their values",
        )
    faults = adapter_values(coverage, tensors, weight_statistics)
    return ImpossibleValues(tensors, faults, 2 * len(coverage.tensors.pairs))
