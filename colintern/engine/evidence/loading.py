"""Evidence of what the loaders would do with the judged weights."""

from msgspec import Struct

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.model.model_config import ModelConfig
from colintern.artifacts.run.layout import ADAPTER_WEIGHTS
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.loading.base_modules import base_modules
from colintern.diagnostics.loading.faults import LoadFault, adapter_faults, model_faults
from colintern.diagnostics.loading.model_plan import plan_model
from colintern.engine.evidence import sources
from colintern.engine.resolver import evidence
from colintern.engine.verdict import NoEvidence
from colintern.families.family import Family
from colintern.families.outline.modules import ModuleOutline

_LOADING = "what a loader would do with it"


class LoadPlan(Struct, frozen=True):
    """What the loaders would lose of the judged weights."""

    tensors: TensorStore
    faults: tuple[LoadFault, ...]
    """The gravest first."""
    against: str
    """What the weights were set against, in words."""
    is_exact: bool
    """Whether each tensor's place is known, by names that the class takes to the letter."""


@evidence
def load_plan(  # noqa: PLR0917 - the resolver calls it by name
    tensors: TensorStore,
    adapter_settings: AdapterConfig | None,
    coverage: AdapterCoverage | None,
    outline: ModuleOutline | None,
    base_tensors: TensorStore | None,
    model_config: ModelConfig | None,
    family: Family | None,
) -> LoadPlan:
    """What each loader would leave missing, drop, refuse or draw at random."""
    exact = family is not None and family.is_ours and outline is not None
    against = _known(outline, base_tensors)
    if tensors.path.name != ADAPTER_WEIGHTS:
        base_entries = base_tensors.entries if base_tensors else None
        words = model_config.text.vocab_size if model_config is not None else None
        plan = plan_model(tensors.entries, outline, family, base_entries, vocabulary=words)
        projections = family.projections if family is not None else frozenset()
        faults = model_faults(plan, tensors.entries, projections)
        return LoadPlan(tensors, faults, against, exact)
    if adapter_settings is None:
        raise NoEvidence(sources.ADAPTER_CONFIG, needed_for=_LOADING)
    base = base_modules(outline, base_tensors, family, model_config)
    faults = adapter_faults(adapter_settings, tensors, coverage, base, base_tensors)
    return LoadPlan(tensors, faults, against, exact)


def _known(outline: ModuleOutline | None, base: TensorStore | None) -> str:
    if base is not None:
        return "the base's weights"
    return "config.json" if outline is not None else "its own settings alone"
