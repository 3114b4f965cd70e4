"""ColGemma3, on Gemma 3."""

from typing import Final

from colintern.families.backbone import SIGLIP, Backbone, Connector, Decoder
from colintern.families.family import ANY_SIZE, Family, LearningRates, names

GEMMA3: Final = Backbone(
    model_types=("gemma3",),
    language="language_model.",
    vision="vision_tower.",
    connector="multi_modal_projector.",
    decoders=(
        Decoder(
            model_type="gemma3_text",
            hidden=2304,
            intermediate=9216,
            layers=26,
            heads=8,
            key_value_heads=4,
            head_dim=256,
            vocabulary=262_208,
            head_norms=True,
            norms=4,
        ),
    ),
    tower=SIGLIP,
    # Its width is the language model's: no key says it.
    bridge=Connector(layout="matrix", key="projection_dim", default=0),
)

FAMILIES: Final = (
    Family(
        name="ColGemma3",
        backbone=GEMMA3,
        architectures=frozenset({"ColGemma3"}),
        processor_classes=frozenset({"ColGemmaProcessor3"}),
        model_class="colpali_engine.models.ColGemma3",
        processor_class="colpali_engine.models.ColGemmaProcessor3",
        raw_bases=names(r"gemma-3-[0-9]{1,3}b-(it|pt)"),
        saved_bases=names(r"colgemma-?3[\w.-]{0,40}-base"),
        raw_organisations=frozenset({"google"}),
        learning_rates=(LearningRates(ANY_SIZE, 1e-5, 1e-3),),
        source="No shipped configuration; sources F09: any LoRA between 1e-5 and 1e-3.",
    ),
)
