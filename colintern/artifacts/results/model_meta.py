"""What MTEB was told about a model: `model_meta.json` beside its results."""

from pathlib import Path

import msgspec

from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import convert, read_json_object

MODEL_META = "model_meta.json"


class ModelMeta(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of MTEB's `ModelMeta` that the audit compares with the weights."""

    path: Path
    """The file."""
    name: str | None = None
    """As `ORG/NAME`; unique for a model."""
    revision: str | None = None
    """The commit of the weights that were evaluated."""
    n_parameters: float | None = None
    embed_dim: float | list[float] | None = None
    """Numbers in one vector; a list where a model offers several."""
    similarity_fn_name: str | None = None
    """`max_sim` or `MaxSim` for late interaction."""
    training_datasets: dict[str, object] | list[str] | None = None
    """Names of tasks in MTEB's registry, from which it tells what is zero-shot."""
    loader: str | None = None
    """The wrapper class that was evaluated."""
    open_weights: bool | None = None

    @property
    def is_late_interaction(self) -> bool:
        """Whether pages and queries are compared by MaxSim."""
        return (self.similarity_fn_name or "").lower().replace("_", "") == "maxsim"

    @property
    def training_names(self) -> tuple[str, ...]:
        """The names of the training sets; empty when none were declared."""
        return tuple(self.training_datasets or ())


class _Recorded(msgspec.Struct, frozen=True, kw_only=True):
    name: str | None = None
    revision: str | None = None
    n_parameters: float | None = None
    embed_dim: float | list[float] | None = None
    similarity_fn_name: str | None = None
    training_datasets: dict[str, object] | list[str] | None = None
    loader: str | None = None
    open_weights: bool | None = None


def read_model_meta(path: Path, enclosure: Enclosure | None) -> ModelMeta:
    """Read `model_meta.json`.

    Raises:
        ArtifactError: unreadable, not JSON, or a field of the wrong type.
    """
    recorded = convert(path, read_json_object(path, enclosure), _Recorded)
    return ModelMeta(path=path, **msgspec.structs.asdict(recorded))
