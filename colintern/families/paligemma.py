"""ColPali, on PaliGemma."""

from typing import Final

from colintern.families.backbone import SIGLIP, Backbone, Connector, Decoder
from colintern.families.family import ANY_SIZE, Family, LearningRates, names

PALIGEMMA: Final = Backbone(
    model_types=("paligemma",),
    language="model.model.language_model.",
    earlier_language=("model.language_model.model.",),
    vision="model.model.vision_tower.",
    connector="model.model.multi_modal_projector.",
    decoders=(
        Decoder(
            model_type="gemma",
            hidden=3072,
            intermediate=24_576,
            layers=28,
            heads=16,
            key_value_heads=16,
            head_dim=256,
            vocabulary=256_000,
        ),
        Decoder(
            model_type="gemma2",
            hidden=2304,
            intermediate=9216,
            layers=26,
            heads=8,
            key_value_heads=4,
            head_dim=256,
            vocabulary=256_000,
            norms=4,
        ),
    ),
    tower=SIGLIP,
    bridge=Connector(layout="linear", modules=("linear",), key="projection_dim", default=2048),
)

FAMILIES: Final = (
    Family(
        name="ColPali",
        backbone=PALIGEMMA,
        architectures=frozenset({"ColPali"}),
        processor_classes=frozenset({"ColPaliProcessor"}),
        model_class="colpali_engine.models.ColPali",
        processor_class="colpali_engine.models.ColPaliProcessor",
        native_class="ColPaliForRetrieval",
        repairs=frozenset({"prefix attention", "output layer"}),
        padding_side="right",
        padding_in_file=True,
        mteb_wrappers=frozenset({"ColPaliWrapper"}),
        raw_bases=names(r"paligemma2?-[0-9]{1,3}b-[\w-]{1,40}"),
        saved_bases=names(r"colpaligemma2?-[\w.-]{1,40}base"),
        raw_organisations=frozenset({"google"}),
        learning_rates=(LearningRates(ANY_SIZE, 5e-5, 5e-5),),
        min_epochs=1,
        source="colpali-engine, scripts/configs/pali; sources F09 and N12 (v1: 1 epoch).",
    ),
)
