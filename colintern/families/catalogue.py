"""The retriever families: what is the same in every model of one, each figure with its source."""

import re
from typing import Final, Literal, NamedTuple

from msgspec import Struct


class LearningRates(NamedTuple):
    """The accepted peak learning rates of base models up to a size."""

    max_parameters: float
    """Largest base (without projection and output layer) that the figures are for."""
    low: float
    high: float


class Family(Struct, frozen=True, kw_only=True):
    """What an audit needs to know of a family; figures that nobody published are None.

    Defaults are what most classes of colpali-engine have in common.
    """

    name: str
    """As a user types it after `--family`."""
    projection: str = "custom_text_proj"
    """Module name of the last linear layer."""
    dimension: int | None = 128
    """Size of one vector; None where the base's config sets it (`dim`)."""
    padding_side: Literal["left", "right"] = "left"
    """Side on which the processor pads."""
    model_types: frozenset[str] = frozenset()
    """`model_type` in the base's config.json."""
    architectures: frozenset[str] = frozenset()
    """Retriever classes, as a config's `architectures` names them."""
    processor_classes: frozenset[str] = frozenset()
    """`processor_class` in the processor's or tokenizer's configuration."""
    raw_bases: re.Pattern[str]
    """Names of vision-language models that have no projection of the family."""
    saved_bases: re.Pattern[str]
    """Names of repositories that hold the same model with a projection."""
    raw_organisations: frozenset[str] = frozenset()
    """Owners on the Hub of those raw models."""
    learning_rates: tuple[LearningRates, ...]
    """Accepted intervals by base size, smallest first."""
    min_epochs: float | None = None
    """Fewest epochs that a published recipe uses; None: the guide's figure, or none known."""
    follows_guide: bool = False
    """The guide was written for it: its numbers judge as errors."""
    source: str
    """Where the figures are from."""

    def learning_rate_for(self, num_parameters: int | None) -> LearningRates | None:
        """Return the interval for a base of that size, or for any size when it does not matter.

        None when the size matters and is unknown.
        """
        if len(self.learning_rates) == 1:
            return self.learning_rates[0]
        if num_parameters is None:
            return None
        return next(
            (rates for rates in self.learning_rates if num_parameters <= rates.max_parameters), None
        )

    def is_raw_base(self, hub_id: str) -> bool:
        """Whether `hub_id` is a vision-language model known to ship no projection."""
        organisation, _, name = hub_id.rpartition("/")
        return organisation in self.raw_organisations and bool(self.raw_bases.fullmatch(name))


_ANY: Final = float("inf")


def _names(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


COLINTERN: Final = Family(
    name="ColIntern3.5",
    model_types=frozenset({"internvl"}),
    architectures=frozenset({"ColIntern3_5", "ColInternVL3_5"}),
    processor_classes=frozenset({"ColIntern3_5Processor", "ColInternVL3_5Processor"}),
    raw_bases=_names(r"InternVL3[_.]5-[0-9]{1,3}B(-[A-Za-z]{1,12}){0,2}"),
    saved_bases=_names(r"colintern(vl)?3[_.-]?5[\w.-]{0,40}-base"),
    raw_organisations=frozenset({"OpenGVLab"}),
    learning_rates=(
        LearningRates(0.5e9, 2e-5, 7e-5),
        LearningRates(2e9, 2e-5, 5e-5),
        LearningRates(4e9, 1e-5, 3e-5),
        LearningRates(_ANY, 1e-5, 3e-5),
    ),
    follows_guide=True,
    source="The guide: all its learning rates for the size, and 2e-5 where training is unstable.",
)
COLPALI: Final = Family(
    name="ColPali",
    padding_side="right",
    model_types=frozenset({"paligemma"}),
    architectures=frozenset({"ColPali"}),
    processor_classes=frozenset({"ColPaliProcessor"}),
    raw_bases=_names(r"paligemma2?-[0-9]{1,3}b-[\w-]{1,40}"),
    saved_bases=_names(r"colpaligemma2?-[\w.-]{1,40}base"),
    raw_organisations=frozenset({"google"}),
    learning_rates=(LearningRates(_ANY, 5e-5, 5e-5),),
    min_epochs=1,
    source="colpali-engine, scripts/configs/pali; sources F09 and N12 (v1: 1 epoch).",
)
COLQWEN2: Final = Family(
    name="ColQwen2",
    model_types=frozenset({"qwen2_vl"}),
    architectures=frozenset({"ColQwen2"}),
    processor_classes=frozenset({"ColQwen2Processor"}),
    raw_bases=_names(r"Qwen2-VL-[0-9]{1,3}B[\w-]{0,40}"),
    saved_bases=_names(r"colqwen2[_-](?!\d)[\w.-]{0,40}base"),
    raw_organisations=frozenset({"Qwen"}),
    learning_rates=(LearningRates(_ANY, 5e-5, 2e-4),),
    min_epochs=1,
    source="colpali-engine, train_colqwen2_model.yaml: 5e-5, 1 epoch; sources F09: 2e-4.",
)
COLQWEN2_5: Final = Family(
    name="ColQwen2.5",
    model_types=frozenset({"qwen2_5_vl"}),
    architectures=frozenset({"ColQwen2_5"}),
    processor_classes=frozenset({"ColQwen2_5_Processor"}),
    raw_bases=_names(r"Qwen2\.5-VL-[0-9]{1,3}B[\w-]{0,40}"),
    saved_bases=_names(r"colqwen2[._]5[_-](?!omni)[\w.-]{0,40}base"),
    raw_organisations=frozenset({"Qwen"}),
    learning_rates=(LearningRates(_ANY, 2e-4, 2e-4),),
    min_epochs=5,
    source="colpali-engine, train_colqwen25_model.py: 2e-4, 5 epochs.",
)
COLQWEN3: Final = Family(
    name="ColQwen3",
    dimension=320,
    model_types=frozenset({"qwen3_vl"}),
    architectures=frozenset({"ColQwen3"}),
    processor_classes=frozenset({"ColQwen3Processor"}),
    raw_bases=_names(r"Qwen3-VL-[0-9]{1,3}B[\w-]{0,40}"),
    saved_bases=_names(r"colqwen3[_-](?!\d)[\w.-]{0,40}base"),
    raw_organisations=frozenset({"Qwen"}),
    learning_rates=(LearningRates(_ANY, 2e-4, 2e-4),),
    min_epochs=5,
    source="colpali-engine, train_colqwen3_model.py: 2e-4, 5 epochs; modeling_colqwen3.py: 320.",
)
COLQWEN3_5: Final = Family(
    name="ColQwen3.5",
    dimension=None,
    model_types=frozenset({"qwen3_5"}),
    architectures=frozenset({"ColQwen3_5"}),
    processor_classes=frozenset({"ColQwen3_5Processor"}),
    raw_bases=_names(r"Qwen3\.5-[0-9.]{1,4}B[\w-]{0,40}"),
    saved_bases=_names(r"colqwen3[._]5[_-][\w.-]{0,40}base"),
    raw_organisations=frozenset({"Qwen"}),
    learning_rates=(LearningRates(_ANY, 2e-4, 2e-4),),
    min_epochs=5,
    source="colpali-engine, train_colqwen3_5_model.py: 2e-4, 5 epochs; `config.dim`, else 128.",
)
COLQWEN_OMNI: Final = Family(
    name="ColQwen-Omni",
    model_types=frozenset({"qwen2_5_omni", "qwen2_5_omni_thinker"}),
    architectures=frozenset({"ColQwen2_5Omni"}),
    processor_classes=frozenset({"ColQwen2_5OmniProcessor"}),
    raw_bases=_names(r"Qwen2\.5-Omni-[0-9]{1,3}B[\w-]{0,40}"),
    saved_bases=_names(r"colqwen2[._]5-?omni[_-][\w.-]{0,40}base"),
    raw_organisations=frozenset({"Qwen"}),
    learning_rates=(LearningRates(_ANY, 2e-4, 2e-4),),
    min_epochs=5,
    source="colpali-engine, train_colqwenomni_model.py: 2e-4, 5 epochs.",
)
COLIDEFICS3: Final = Family(
    name="ColIdefics3",
    projection="linear",
    model_types=frozenset({"idefics3", "smolvlm"}),
    architectures=frozenset({"ColIdefics3"}),
    processor_classes=frozenset({"ColIdefics3Processor"}),
    raw_bases=_names(r"(SmolVLM2?-[\w.-]{1,60}|Idefics3-[\w.-]{1,40})"),
    saved_bases=_names(r"Col(SmolVLM|Smol|Idefics3)[\w.-]{0,40}-base"),
    raw_organisations=frozenset({"HuggingFaceTB", "HuggingFaceM4"}),
    learning_rates=(LearningRates(_ANY, 5e-4, 5e-4),),
    min_epochs=1,
    source="colpali-engine, train_colsmolvlm_model.yaml: 5e-4, 1 epoch; sources B05.",
)
COLMODERNVBERT: Final = Family(
    name="ColModernVBert",
    model_types=frozenset({"modernvbert"}),
    architectures=frozenset({"ColModernVBert"}),
    processor_classes=frozenset({"ColModernVBertProcessor"}),
    raw_bases=_names(r"modernvbert"),
    saved_bases=_names(r"colmodernvbert[\w.-]{0,40}-base"),
    raw_organisations=frozenset({"ModernVBERT"}),
    learning_rates=(LearningRates(_ANY, 1e-5, 1e-3),),
    source="No shipped configuration; sources F09: any LoRA between 1e-5 and 1e-3.",
)
COLGEMMA3: Final = Family(
    name="ColGemma3",
    model_types=frozenset({"gemma3"}),
    architectures=frozenset({"ColGemma3"}),
    processor_classes=frozenset({"ColGemmaProcessor3"}),
    raw_bases=_names(r"gemma-3-[0-9]{1,3}b-(it|pt)"),
    saved_bases=_names(r"colgemma-?3[\w.-]{0,40}-base"),
    raw_organisations=frozenset({"google"}),
    learning_rates=(LearningRates(_ANY, 1e-5, 1e-3),),
    source="No shipped configuration; sources F09: any LoRA between 1e-5 and 1e-3.",
)
COLINTERN_TINY: Final = Family(
    name="ColIntern-tiny",
    raw_bases=_names(r"\b\B"),
    saved_bases=_names(r"tiny-base"),
    learning_rates=(LearningRates(_ANY, 1e-3, 5e-3),),
    min_epochs=5,
    follows_guide=True,
    source="The bundled base and recipe: NDCG@5 0.49 at 5e-4, 0.95 at 1e-3, 0.97 at 2e-3, 0.98 at "
    "3e-3 and at 5e-3, 0.85 at 1e-2, 0.01 at 2e-2 (tests/benchmarks/bench_learning_rate.py).",
)

FAMILIES: Final[tuple[Family, ...]] = (
    COLINTERN,
    COLINTERN_TINY,
    COLPALI,
    COLQWEN2,
    COLQWEN2_5,
    COLQWEN3,
    COLQWEN3_5,
    COLQWEN_OMNI,
    COLIDEFICS3,
    COLMODERNVBERT,
    COLGEMMA3,
)
"""Projection, dimension and padding side as in colpali-engine 0.3.18 (tested against its classes);
ColIntern3.5 as in sources N05."""

_ALIASES: Final = {"colsmol": COLIDEFICS3, "colsmolvlm": COLIDEFICS3, "colqwenomni": COLQWEN_OMNI}


def family_named(name: str) -> Family | None:
    """Find a family by the name that a user, a manifest or a class gives it."""
    key = _key(name)
    named = (family for family in FAMILIES if _key(family.name) == key)
    return next(named, None) or _ALIASES.get(key) or family_of_class(name)


def family_of_class(name: str) -> Family | None:
    """Find a family by the name of its model's or its processor's class."""
    classes = ((family, family.processor_classes | family.architectures) for family in FAMILIES)
    return next((family for family, names in classes if name in names), None)


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
