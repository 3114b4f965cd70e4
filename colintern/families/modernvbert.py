"""ColModernVBert, on ModernVBERT."""

from typing import Final

from colintern.families.backbone import SIGLIP, Backbone, Connector, Decoder
from colintern.families.family import ANY_SIZE, Family, LearningRates, names
from colintern.families.idefics import SPLIT_PAGES

MODERNVBERT: Final = Backbone(
    model_types=("modernvbert",),
    language="model.text_model.",
    vision="model.vision_model.",
    connector="model.connector.",
    decoders=(
        Decoder(
            model_type="modernbert",
            layout="modernbert",
            hidden=768,
            intermediate=1152,
            layers=22,
            heads=12,
            key_value_heads=12,
            vocabulary=50_368,
        ),
    ),
    tower=SIGLIP,
    bridge=Connector(
        layout="shuffle", modules=("modality_projection",), key="pixel_shuffle_factor", default=4
    ),
    flat_config=True,
    visual_tokens=SPLIT_PAGES,
)

FAMILIES: Final = (
    Family(
        name="ColModernVBert",
        backbone=MODERNVBERT,
        architectures=frozenset({"ColModernVBert"}),
        processor_classes=frozenset({"ColModernVBertProcessor"}),
        model_class="colpali_engine.models.ColModernVBert",
        processor_class="colpali_engine.models.ColModernVBertProcessor",
        native_class="ColModernVBertForRetrieval",
        raw_bases=names(r"modernvbert"),
        saved_bases=names(r"colmodernvbert[\w.-]{0,40}-base"),
        raw_organisations=frozenset({"ModernVBERT"}),
        learning_rates=(LearningRates(ANY_SIZE, 1e-5, 1e-3),),
        source="No shipped configuration; sources F09: any LoRA between 1e-5 and 1e-3.",
    ),
)
