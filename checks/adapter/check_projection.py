"""The projection: the last linear layer, from hidden states to the vectors that are compared."""

from colintern.artifacts.model.base_model import BaseReference
from colintern.artifacts.model.model_config import ModelConfig
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.artifacts.run.layout import ADAPTER_WEIGHTS
from colintern.artifacts.run.manifest import RunManifest
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.adapter.trained_parts import TrainedParts
from colintern.diagnostics.weights.base_identity import BaseIdentity
from colintern.diagnostics.weights.projection import (
    projection_home,
    projection_training,
    vector_sizes,
)
from colintern.diagnostics.weights.statistics import WeightStatistics
from colintern.engine.evidence import sources
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, NoEvidence, Verdict
from colintern.families.family import Family


@rule(
    "PRJ001",
    "projection-base-lost",
    severity=ERROR,
    requires={"ADP001"},
    explains={"LIV005", "LIV007", "LIV009", "LIV010", "RES001", "RES002", "RES005"},
    setting="Projection",
    advice={"load-with-wrapper"},
    floor="head",
)
def check_projection_is_kept(
    coverage: AdapterCoverage,
    family: Family,
    base_reference: BaseReference,
    base_tensors: TensorStore | None,
    manifest: RunManifest | None,
) -> Verdict:
    """The projection's own matrix is saved nowhere: each load draws another one.

    Why: LoRA stores a change. A plain vision-language model has no projection, so its matrix is
        random, made when the model is built; a change that was learned for one random matrix is
        useless on another. Two loads of the checkpoint then disagree.
    Evidence: the tensors of the adapter; those of the base; for a base that is not on this machine,
        whether its repository is known to have a projection; `base.projection_sha256` in the
        manifest.
    Fix: list the projection in `modules_to_save`, or train from a base that was saved with it.
    Source: sources C01; colpali issues 11, 17 and 156.
    """
    home = projection_home(coverage, family, base_reference, base_tensors, manifest=manifest)
    if home is None:
        raise NoEvidence(sources.BASE, needed_for="finding the projection")
    return Verdict(
        home.found,
        observed=home.text,
        expected=f"the matrix of {family.projection} in the adapter, its base or the manifest",
        where=coverage.path,
    )


def judge_projection_in_memory(trained_parts: TrainedParts, family: Family) -> Verdict:
    """Judge a run that goes on by the model, where the audit asks what it saved."""
    state = trained_parts.projection_state(family.projection)
    if state is None:
        raise NoEvidence(
            sources.MODEL_IN_MEMORY, what=family.projection, needed_for="judging its training"
        )
    trained, text = state
    return Verdict(
        trained,
        observed=text,
        expected=f"gradients that reach {family.projection} of {family.name}",
        where="the model in memory",
    )


@rule(
    "PRJ002",
    "projection-untrained",
    severity=ERROR,
    requires={"ADP001"},
    explains={"LIV007", "LIV009", "LIV010", "RES001", "RES002", "REC001", "RES007"},
    live={"start", "course"},
    live_explains={"LOG002", "LOG003"},
    live_check=judge_projection_in_memory,
    setting="Projection",
    advice={"load-with-wrapper"},
    fails_if_stopped=True,
    floor="head",
)
def check_projection_was_trained(  # noqa: PLR0917 - the resolver calls it by name
    coverage: AdapterCoverage,
    family: Family,
    weight_statistics: WeightStatistics,
    adapter_tensors: TensorStore,
    base_tensors: TensorStore | None,
    base_identity: BaseIdentity | None,
) -> Verdict:
    """The projection is where it started, was drawn again, or is zero.

    Why: it starts at random; a model whose projection never moved compares random mixtures. Its
        standard deviation tells nothing: it is 0.02 before and after (sources C02).
    Evidence: its `lora_B`, or its saved matrix against the base's. Where the manifest says that
        training began from the base's matrix, the saved one must still resemble it. A saved matrix
        of zeros was never filled.
    Fix: name it in `target_modules` or `modules_to_save`, and check that gradients reach it.
    Source: the guide, "Check if weights look trained"; sources B11, C02.
    """
    training = projection_training(
        coverage,
        weight_statistics,
        adapter_tensors,
        base_tensors,
        began_at_base=base_identity is not None and base_identity.projection_is_same is True,
    )
    if training is None:
        raise NoEvidence(
            sources.BASE, what=family.projection, needed_for="telling whether it moved"
        )
    return Verdict(
        training.found,
        observed=training.text,
        expected=f"{family.projection} moved from where it started",
        where=coverage.path,
        fix=training.fix,
    )


@rule(
    "PRJ003",
    "wrong-embedding-dimension",
    severity=ERROR,
    explains={"LIV006"},
    floor="head",
)
def check_vector_size(
    embedding_dimension: int | None,
    family: Family,
    model_config: ModelConfig | None,
    model_meta: ModelMeta | None,
    tensors: TensorStore,
) -> Verdict:
    """The vectors have another size than the family's, or than the results claim, or none.

    Why: a projection of another size cannot be loaded by the family's class, nor be compared with
        vectors that are already indexed.
    Evidence: the shape of the projection, which a whole model must hold; `dim` in config.json;
        `embed_dim` in model_meta.json.
    Fix: train with the family's class, or correct `embed_dim`.
    Source: sources C03, J02: 128 for most, 320 for ColQwen3.
    """
    expected = vector_sizes(family, model_config, model_meta)
    if embedding_dimension is None:
        return _without_projection(tensors, family)
    return Verdict(
        all(size == embedding_dimension for size in expected.values()),
        observed=f"vectors of {embedding_dimension}",
        expected=", ".join(f"{size} ({source})" for source, size in expected.items()),
        where=tensors.path,
    )


def _without_projection(tensors: TensorStore, family: Family) -> Verdict:
    """Judge weights that hold no projection of the family's name: a whole model must hold it."""
    parts = {part for name in tensors.entries for part in name.split(".")}
    if tensors.path.name == ADAPTER_WEIGHTS or parts & family.projections:
        raise NoEvidence(sources.WEIGHTS, what=family.projection, needed_for="the size of a vector")
    return Verdict(
        False,
        observed=f"none of {len(tensors.entries)} tensors is of a projection",
        expected=f"the matrix of {family.projection}, which {family.name} ends with",
        where=tensors.path,
    )
