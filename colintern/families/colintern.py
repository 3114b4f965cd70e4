"""ColIntern3.5, on InternVL: the family that this project trains, and the same model in small."""

import re
from typing import Final

from msgspec.structs import replace

from colintern.artifacts.model.model_config import ModelConfig, TextConfig, VisionConfig
from colintern.families.backbone import Backbone, Connector, Decoder, VisionTower, VisualTokens
from colintern.families.family import (
    ANY_SIZE,
    NO_NAME,
    Family,
    LearningRates,
    PublishedBase,
    names,
)

INTERNVL: Final = Backbone(
    model_types=("internvl",),
    language="language_model.",
    earlier_language=("language_model.model.",),
    vision="vision_tower.",
    connector="multi_modal_projector.",
    decoders=(
        Decoder(
            model_type="qwen2",
            hidden=4096,
            intermediate=22_016,
            layers=32,
            heads=32,
            key_value_heads=32,
            vocabulary=151_936,
            query_bias=True,
        ),
        Decoder(
            model_type="qwen3",
            hidden=4096,
            intermediate=22_016,
            layers=32,
            heads=32,
            key_value_heads=32,
            head_dim=128,
            vocabulary=151_936,
            head_norms=True,
        ),
    ),
    tower=VisionTower(
        model_types=("internvl_vision",),
        layout="intern vit",
        hidden=1024,
        intermediate=4096,
        layers=24,
        image_size=448,
        patch_size=14,
    ),
    bridge=Connector(
        layout="mlp", modules=("linear_1", "linear_2"), key="downsample_ratio", default=0.5
    ),
    visual_tokens=VisualTokens(
        rule="tiles",
        image_processors=re.compile("^GotOcr2"),
        processors=re.compile("InternVL|^ColIntern"),
        # `image_seq_length` of InternVLProcessor: a tile of 448 x 448 pixels; `max_patches` of
        # GotOcr2ImageProcessor.
        tile_tokens=256,
        max_tiles=12,
    ),
)
"""transformers' InternVLModel."""


def _published(
    short: str, hidden: int, intermediate: int, layers: int, heads: int
) -> PublishedBase:
    text = TextConfig(
        model_type="qwen3",
        hidden_size=hidden,
        intermediate_size=intermediate,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=8,
        head_dim=128,
        vocab_size=151_936,
    )
    vision = VisionConfig(model_type="internvl_vision", attention_bias=True)
    config = ModelConfig(model_type="internvl", text=text, vision=vision, downsample_ratio=0.5)
    return PublishedBase(hub_id=f"OpenGVLab/InternVL3_5-{short}-HF", short=short, config=config)


COLINTERN: Final = Family(
    name="ColIntern3.5",
    backbone=INTERNVL,
    published_bases=(
        _published("1B", 1024, 3072, 28, 16),
        _published("2B", 2048, 6144, 28, 16),
        _published("4B", 2560, 9728, 36, 32),
        _published("8B", 4096, 12_288, 36, 32),
    ),
    architectures=frozenset({"ColIntern3_5", "ColInternVL3_5"}),
    processor_classes=frozenset({"ColIntern3_5Processor", "ColInternVL3_5Processor"}),
    model_class="colintern.model.modeling.ColIntern3_5",
    processor_class="colintern.model.processing.ColIntern3_5Processor",
    transformers_since="4.52",  # `models/internvl`
    query_prefixes=(),
    raw_bases=names(r"InternVL3[_.]5-[0-9]{1,3}B(-[A-Za-z]{1,12}){0,2}"),
    saved_bases=names(r"colintern(vl)?3[_.-]?5[\w.-]{0,40}-base"),
    raw_organisations=frozenset({"OpenGVLab"}),
    learning_rates=(
        LearningRates(0.5e9, 2e-5, 7e-5, proposed=7e-5),
        LearningRates(2e9, 2e-5, 5e-5, proposed=5e-5),
        LearningRates(4e9, 1e-5, 3e-5, proposed=3e-5),
        LearningRates(ANY_SIZE, 1e-5, 3e-5, proposed=1e-5),
    ),
    follows_guide=True,
    source="The guide: all its learning rates for the size, and 2e-5 where training is unstable "
    "(sources N05, N07).",
)

COLINTERN_TINY: Final = replace(
    COLINTERN,
    name="ColIntern-tiny",
    same_model_as=COLINTERN.name,
    published_bases=(),
    transformers_since=None,
    raw_bases=NO_NAME,
    saved_bases=names("tiny-base"),
    raw_organisations=frozenset(),
    learning_rates=(LearningRates(ANY_SIZE, 1e-3, 5e-3, proposed=2e-3),),
    min_epochs=5,
    only_benchmark="pages",
    source="The bundled base and recipe: NDCG@5 0.49 at 5e-4, 0.95 at 1e-3, 0.97 at 2e-3, 0.98 at "
    "3e-3 and at 5e-3, 0.85 at 1e-2, 0.01 at 2e-2 (tests/benchmarks/bench_learning_rate.py).",
)

FAMILIES: Final = (COLINTERN, COLINTERN_TINY)
