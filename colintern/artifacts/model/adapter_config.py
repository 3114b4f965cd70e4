"""`adapter_config.json` of PEFT: what LoRA was asked for."""

from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.json.document import convert, read_json_object
from colintern.artifacts.printable import printable

_LARGEST: Final = 1e9
"""Beyond any rank or alpha (sources M08: rank 1,000, alpha 100,000); keeps products finite."""

Rank = Annotated[int, Meta(ge=1, le=int(_LARGEST))]
Alpha = Annotated[float, Meta(ge=-_LARGEST, le=_LARGEST)]
Names = str | list[str] | None

_OURS: Final = frozenset({"path", "raw"})
_OTHER_LIBRARIES: Final = (
    (frozenset({"model_class", "version"}), "an AdapterHub adapter"),
    (frozenset({"base_model"}), "an adapter reference of lerobot"),
)

ZERO_B_INITS: Final = frozenset({True, "gaussian", "eva"})
"""`init_lora_weights` that start from B = 0 (PEFT 0.20, `LoraLayer.update_layer`)."""


_SAME_BASE_INITS: Final = ZERO_B_INITS | {False, "orthogonal"}
"""Those that leave the base as it was; PiSSA, OLoRA, CorDA, LoftQ and LoRA-GA take their start out
of its weights (PEFT 0.20, `LoraLayer.update_layer`)."""


_VARIANTS: Final = (
    *("use_qalora", "use_bdlora", "kasa_config", "monteclora_config", "velora_config"),
    *("arrow_config", "alora_invocation_tokens"),
)
"""Keys of kinds of LoRA whose matrices have other shapes or another product (PEFT 0.20, 0.21)."""


class AdapterConfig(Struct, frozen=True, kw_only=True):
    """PEFT's configuration under PEFT's names; a key that was not written is at PEFT's default."""

    peft_type: str
    """As `LORA`, `IA3`, `ADALORA`."""
    base_model_name_or_path: str | None = None
    """Hub id or path of the base, as it was loaded."""
    revision: str | None = None
    """Commit, branch or tag of the base."""
    task_type: str | None = None
    """As `FEATURE_EXTRACTION`."""
    r: Rank = 8
    """Rank."""
    lora_alpha: Alpha = 8.0
    """Scale numerator."""
    lora_dropout: float = 0.0
    """Probability in training."""
    target_modules: Names = None
    """A list of names or dotted suffixes, or one regular expression as a string."""
    exclude_modules: Names = None
    """Like `target_modules`; taken out of what that matched."""
    modules_to_save: list[str] | None = None
    """Modules trained in full and saved beside LoRA."""
    layers_to_transform: int | list[int] | None = None
    """Indices of the layers that LoRA is limited to."""
    layers_pattern: Names = None
    """Name of the list of layers that those indices count in."""
    layer_replication: list[list[int]] | None = None
    """Ranges of the base's layers that the adapted model is stacked from, so that its layers are
    others than the base's."""
    target_parameters: list[str] | None = None
    """Parameters, not modules, that get LoRA (experts)."""
    rank_pattern: dict[str, Rank] | None = None
    """Rank by regular expression of the module's name."""
    alpha_pattern: dict[str, Alpha] | None = None
    """Alpha by regular expression of the module's name."""
    bias: str = "none"
    """`none`, `all` or `lora_only`: biases of the base that were trained and saved."""
    lora_bias: bool | None = None
    """Whether B has a bias of its own."""
    init_lora_weights: bool | str | None = True
    """How A and B start; B starts at zero for those in `ZERO_B_INITS`."""
    use_rslora: bool | None = None
    """Scale by alpha / sqrt(r) instead of alpha / r."""
    use_dora: bool | None = None
    """Weight-decomposed LoRA: a magnitude vector beside A and B."""
    fan_in_fan_out: bool | None = None
    """The base stores weights as (in, out), as GPT-2's Conv1D."""
    inference_mode: bool | None = None
    """False in checkpoints saved during training."""
    peft_version: str | None = None
    """Written by PEFT 0.18 and later."""
    path: Path = Path()
    """Where it was read."""
    raw: dict[str, Any] = {}
    """The document, keys that this record lacks included."""

    @property
    def is_lora(self) -> bool:
        """Whether this is LoRA, or a kind of it with the same tensors (DoRA, rsLoRA)."""
        return self.peft_type == "LORA"

    @property
    def b_starts_at_zero(self) -> bool:
        """Whether an untrained B is zero, so that any other B was trained."""
        return self.init_lora_weights in ZERO_B_INITS

    @property
    def merges_plainly(self) -> bool:
        """Whether merging gives base + s·B·A: the base's own weight, stored as (out, in)."""
        changed = self.use_dora or self.fan_in_fan_out or self.layer_replication or self.is_variant
        return not changed and self.init_lora_weights in _SAME_BASE_INITS

    @property
    def is_variant(self) -> bool:
        """Whether the matrices are not (rank, in) and (out, rank), or do more than multiply."""
        return any(self.raw.get(key) for key in _VARIANTS)

    @property
    def target_entries(self) -> tuple[str, ...]:
        """The entries of `target_modules` without duplicates, in their order; one for a string."""
        if self.target_modules is None:
            return ()
        if isinstance(self.target_modules, str):
            return (self.target_modules,)
        return tuple(dict.fromkeys(self.target_modules))


def read_adapter_config(path: Path, enclosure: Enclosure | None) -> AdapterConfig:
    """Read a PEFT configuration of any type; `is_lora` tells whether LoRA rules apply.

    Raises:
        ArtifactError: not readable, not PEFT's, or a field of the wrong type.
    """
    return as_adapter_config(path, read_json_object(path, enclosure))


def as_adapter_config(path: Path, document: dict[str, Any]) -> AdapterConfig:
    """Turn a parsed document, or a configuration in memory, into the record.

    Raises:
        ArtifactError: not PEFT's, or a field of the wrong type.
    """
    if "peft_type" not in document:
        raise ArtifactError(
            path,
            expected="a PEFT configuration with `peft_type`",
            found=_other_library(document),
            remedy="Save the adapter with PEFT's `save_pretrained`.",
        )
    known = {key: value for key, value in document.items() if key not in _OURS}
    return replace(convert(path, known, AdapterConfig), path=path, raw=document)


def _other_library(document: dict[str, Any]) -> str:
    for keys, name in _OTHER_LIBRARIES:
        if keys <= document.keys():
            return name
    first = ", ".join(printable(key, limit=40) for key in list(document)[:4])
    return f"the keys {first}" if first else "an empty object"
