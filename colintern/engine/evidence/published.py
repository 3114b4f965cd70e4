"""Evidence of results beside those that other people published."""

from colintern.artifacts.model.base_model import BaseReference
from colintern.artifacts.results.folder import TaskResults
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.artifacts.run.layout import RunLayout
from colintern.artifacts.run.manifest import RunManifest
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.results.model_identity import Identity, names_of
from colintern.diagnostics.results.published import published_models, published_scores
from colintern.diagnostics.results.result_table import ResultTable
from colintern.diagnostics.results.score_floor import ScoreFloor
from colintern.diagnostics.results.score_floor import score_floor as compare_with_lowest
from colintern.engine.evidence.base import recorded_by
from colintern.engine.resolver import evidence
from colintern.engine.subjects import Subject
from colintern.families.family import Family


@evidence
def score_floor(task_results: TaskResults, result_table: ResultTable) -> ScoreFloor:
    """The level of the scores beside the lowest that anybody published."""
    return compare_with_lowest(
        result_table, task_results, published_scores(), published_models().models
    )


@evidence
def model_identity(  # noqa: PLR0917 - the resolver calls it by name
    layout: RunLayout,
    subject: Subject,
    base_reference: BaseReference | None,
    manifest: RunManifest | None,
    model_meta: ModelMeta | None,
    family: Family | None,
    tensors: TensorStore | None,
) -> Identity:
    """Whose weights are judged, as far as names and the family tell."""
    base = base_reference.recorded if base_reference is not None else None
    return Identity(
        names=names_of(layout.path, subject.name, base, recorded_by(manifest)[0]),
        declared=model_meta.name if model_meta is not None else None,
        family=family,
        is_own_training=manifest is not None,
        has_weights=tensors is not None,
    )
