"""The ColQwen families, on Qwen2-VL to Qwen3.5 and Qwen2.5-Omni."""

import re
from typing import Final

from msgspec.structs import replace

from colintern.families.backbone import Backbone, Decoder, VisionTower, VisualTokens
from colintern.families.family import ANY_SIZE, Family, LearningRates, names

_PAGES_BY_AREA: Final = VisualTokens(
    rule="area",
    image_processors=re.compile("^Qwen"),
    processors=re.compile("Qwen"),
    # Defaults of Qwen2VLImageProcessor.
    patch_size=14,
    merge_size=2,
)

QWEN2_VL: Final = Backbone(
    model_types=("qwen2_vl",),
    language="language_model.",
    earlier_language=("model.", "model.language_model."),
    vision="visual.",
    connector="visual.merger.",
    decoders=(
        Decoder(
            model_type="qwen2_vl_text",
            hidden=8192,
            intermediate=29_568,
            layers=80,
            heads=64,
            key_value_heads=8,
            vocabulary=152_064,
            query_bias=True,
        ),
    ),
    tower=VisionTower(
        model_types=("qwen2_vl", "qwen2_vl_vision"),
        layout="qwen",
        hidden=1280,
        layers=32,
        patch_size=14,
        width_key="embed_dim",
        merged_key="hidden_size",
    ),
    bridge=None,
    flat_config=True,
    visual_tokens=_PAGES_BY_AREA,
)
QWEN2_5_VL: Final = replace(
    QWEN2_VL,
    model_types=("qwen2_5_vl",),
    decoders=(replace(QWEN2_VL.decoders[0], model_type="qwen2_5_vl_text"),),
    tower=VisionTower(
        model_types=("qwen2_5_vl", "qwen2_5_vl_vision"),
        layout="qwen",
        hidden=3584,
        intermediate=3420,
        layers=32,
        patch_size=14,
        biased_norms=False,
        feed_forward=("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"),
    ),
)
QWEN3_VL: Final = replace(
    QWEN2_VL,
    model_types=("qwen3_vl",),
    decoders=(
        Decoder(
            model_type="qwen3_vl_text",
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
        model_types=("qwen3_vl", "qwen3_vl_vision"),
        layout="qwen",
        hidden=1152,
        intermediate=4304,
        layers=27,
        patch_size=16,
        positions=2304,
        feed_forward=("mlp.linear_fc1", "mlp.linear_fc2"),
        merger=("linear_fc1", "linear_fc2"),
        deepstack=(8, 16, 24),
    ),
)
QWEN3_5: Final = replace(
    QWEN3_VL,
    model_types=("qwen3_5",),
    decoders=(
        Decoder(
            model_type="qwen3_5_text",
            hidden=4096,
            intermediate=12_288,
            layers=32,
            heads=16,
            key_value_heads=4,
            head_dim=256,
            vocabulary=248_320,
            gated_query=True,
            head_norms=True,
            full_attention_interval=4,
        ),
    ),
    tower=replace(QWEN3_VL.tower, model_types=("qwen3_5", "qwen3_5_vision"), deepstack=()),
)
QWEN_OMNI: Final = replace(
    QWEN2_VL,
    model_types=("qwen2_5_omni_thinker", "qwen2_5_omni"),
    language="model.language_model.",
    vision="model.visual.",
    connector="model.visual.merger.",
    decoders=(
        Decoder(
            model_type="qwen2_5_omni_text",
            hidden=3584,
            intermediate=18_944,
            layers=28,
            heads=28,
            key_value_heads=4,
            vocabulary=152_064,
            query_bias=True,
        ),
    ),
    tower=replace(
        QWEN2_5_VL.tower, model_types=("qwen2_5_omni_vision_encoder",), fused_attention=False
    ),
    flat_config=False,
)
"""Its audio tower is left out: no recipe of the family trains it."""

FAMILIES: Final = (
    Family(
        name="ColQwen2",
        backbone=QWEN2_VL,
        architectures=frozenset({"ColQwen2"}),
        processor_classes=frozenset({"ColQwen2Processor"}),
        model_class="colpali_engine.models.ColQwen2",
        processor_class="colpali_engine.models.ColQwen2Processor",
        native_class="ColQwen2ForRetrieval",
        mteb_wrappers=frozenset({"ColQwen2Wrapper"}),
        raw_bases=names(r"Qwen2-VL-[0-9]{1,3}B[\w-]{0,40}"),
        saved_bases=names(r"colqwen2[_-](?!\d)[\w.-]{0,40}base"),
        raw_organisations=frozenset({"Qwen"}),
        learning_rates=(LearningRates(ANY_SIZE, 5e-5, 2e-4),),
        min_epochs=1,
        source="colpali-engine, train_colqwen2_model.yaml: 5e-5, 1 epoch; sources F09: 2e-4.",
    ),
    Family(
        name="ColQwen2.5",
        backbone=QWEN2_5_VL,
        architectures=frozenset({"ColQwen2_5"}),
        processor_classes=frozenset({"ColQwen2_5_Processor"}),
        model_class="colpali_engine.models.ColQwen2_5",
        processor_class="colpali_engine.models.ColQwen2_5_Processor",
        mteb_wrappers=frozenset({"ColQwen2_5Wrapper"}),
        raw_bases=names(r"Qwen2\.5-VL-[0-9]{1,3}B[\w-]{0,40}"),
        saved_bases=names(r"colqwen2[._]5[_-](?!omni)[\w.-]{0,40}base"),
        raw_organisations=frozenset({"Qwen"}),
        learning_rates=(LearningRates(ANY_SIZE, 2e-4, 2e-4),),
        min_epochs=5,
        source="colpali-engine, train_colqwen25_model.py: 2e-4, 5 epochs.",
    ),
    Family(
        name="ColQwen3",
        backbone=QWEN3_VL,
        architectures=frozenset({"ColQwen3"}),
        processor_classes=frozenset({"ColQwen3Processor"}),
        model_class="colpali_engine.models.ColQwen3",
        processor_class="colpali_engine.models.ColQwen3Processor",
        dimension=320,
        raw_bases=names(r"Qwen3-VL-[0-9]{1,3}B[\w-]{0,40}"),
        saved_bases=names(r"colqwen3[_-](?!\d)[\w.-]{0,40}base"),
        raw_organisations=frozenset({"Qwen"}),
        learning_rates=(LearningRates(ANY_SIZE, 2e-4, 2e-4),),
        min_epochs=5,
        source="colpali-engine, train_colqwen3_model.py: 2e-4, 5 epochs; modeling_colqwen3.py: "
        "320.",
    ),
    Family(
        name="ColQwen3.5",
        backbone=QWEN3_5,
        architectures=frozenset({"ColQwen3_5"}),
        processor_classes=frozenset({"ColQwen3_5Processor"}),
        model_class="colpali_engine.models.ColQwen3_5",
        processor_class="colpali_engine.models.ColQwen3_5Processor",
        dimension_keys=("dim",),
        raw_bases=names(r"Qwen3\.5-[0-9.]{1,4}B[\w-]{0,40}"),
        saved_bases=names(r"colqwen3[._]5[_-][\w.-]{0,40}base"),
        raw_organisations=frozenset({"Qwen"}),
        learning_rates=(LearningRates(ANY_SIZE, 2e-4, 2e-4),),
        min_epochs=5,
        source="colpali-engine, train_colqwen3_5_model.py: 2e-4, 5 epochs; modeling_colqwen3_5.py: "
        "`config.dim`, else 128.",
    ),
    Family(
        name="ColQwen-Omni",
        backbone=QWEN_OMNI,
        architectures=frozenset({"ColQwen2_5Omni"}),
        processor_classes=frozenset({"ColQwen2_5OmniProcessor"}),
        model_class="colpali_engine.models.ColQwen2_5Omni",
        processor_class="colpali_engine.models.ColQwen2_5OmniProcessor",
        # Its processor has "Query: " in 0.3.18; nobody has said since when.
        query_prefixes=(),
        raw_bases=names(r"Qwen2\.5-Omni-[0-9]{1,3}B[\w-]{0,40}"),
        saved_bases=names(r"colqwen2[._]5-?omni[_-][\w.-]{0,40}base"),
        raw_organisations=frozenset({"Qwen"}),
        learning_rates=(LearningRates(ANY_SIZE, 2e-4, 2e-4),),
        min_epochs=5,
        source="colpali-engine, train_colqwenomni_model.py: 2e-4, 5 epochs.",
    ),
)
