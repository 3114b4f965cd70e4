"""ColIdefics3, on Idefics 3 and SmolVLM: ColSmol and ColSmolVLM are of it."""

import re
from typing import Final

from colintern.families.backbone import Backbone, Connector, Decoder, VisionTower, VisualTokens
from colintern.families.family import ANY_SIZE, Family, LearningRates, names

SPLIT_PAGES: Final = VisualTokens(
    rule="grid",
    image_processors=re.compile("^(Idefics3|SmolVLM)"),
    processors=re.compile("^(ColIdefics3|ColModern)"),
    # `image_seq_len` of ColIdefics3Processor; transformers' own default is 169.
    tile_tokens=64,
)
"""Idefics 3's image processor, which ModernVBERT has too."""

IDEFICS3: Final = Backbone(
    model_types=("idefics3", "smolvlm"),
    language="model.text_model.",
    earlier_language=("text_model.",),
    vision="model.vision_model.",
    connector="model.connector.",
    decoders=(
        Decoder(
            model_type="llama",
            hidden=4096,
            intermediate=11_008,
            layers=32,
            heads=32,
            key_value_heads=32,
            vocabulary=32_000,
        ),
    ),
    tower=VisionTower(
        model_types=("idefics3_vision", "smolvlm_vision", "idefics3", "smolvlm"),
        layout="siglip",
        hidden=1152,
        intermediate=3072,
        layers=12,
        image_size=224,
        patch_size=32,
    ),
    bridge=Connector(
        layout="shuffle", modules=("modality_projection.proj",), key="scale_factor", default=2
    ),
    visual_tokens=SPLIT_PAGES,
)

FAMILIES: Final = (
    Family(
        name="ColIdefics3",
        aliases=("ColSmol", "ColSmolVLM"),
        backbone=IDEFICS3,
        architectures=frozenset({"ColIdefics3"}),
        processor_classes=frozenset({"ColIdefics3Processor"}),
        model_class="colpali_engine.models.ColIdefics3",
        processor_class="colpali_engine.models.ColIdefics3Processor",
        projection="linear",
        mteb_wrappers=frozenset({"ColSmolWrapper"}),
        raw_bases=names(r"(SmolVLM2?-[\w.-]{1,60}|Idefics3-[\w.-]{1,40})"),
        saved_bases=names(r"Col(SmolVLM|Smol|Idefics3)[\w.-]{0,40}-base"),
        raw_organisations=frozenset({"HuggingFaceTB", "HuggingFaceM4"}),
        learning_rates=(LearningRates(ANY_SIZE, 5e-4, 5e-4),),
        min_epochs=1,
        source="colpali-engine, train_colsmolvlm_model.yaml: 5e-4, 1 epoch; sources B05.",
    ),
)
