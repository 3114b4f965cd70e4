"""An entry of a family that nothing else in the repository knows of."""

import re

from colintern.families.backbone import Backbone, Connector, Decoder, VisionTower, VisualTokens
from colintern.families.family import Family, LearningRates, QueryPrefix

BACKBONE = Backbone(
    model_types=("throwaway_vl",),
    language="trunk.",
    earlier_language=("old_trunk.model.",),
    vision="eyes.",
    connector="bridge.",
    decoders=(
        Decoder(
            model_type="throwaway_text",
            hidden=64,
            intermediate=96,
            layers=2,
            heads=4,
            key_value_heads=2,
            vocabulary=100,
        ),
    ),
    tower=VisionTower(
        model_types=("throwaway_vision",),
        layout="siglip",
        hidden=32,
        intermediate=64,
        layers=2,
        image_size=56,
        patch_size=14,
    ),
    bridge=Connector(layout="linear", modules=("carry",), key="projection_dim", default=64),
    visual_tokens=VisualTokens(
        rule="tiles",
        image_processors=re.compile("^Throwaway"),
        processors=re.compile("^ColThrowaway"),
        tile_tokens=7,
        max_tiles=3,
    ),
)


def throwaway(**changes):
    facts = {
        "name": "ColThrowaway",
        "aliases": ("Throw-It-Away",),
        "backbone": BACKBONE,
        "architectures": frozenset({"ColThrowaway"}),
        "processor_classes": frozenset({"ColThrowawayProcessor"}),
        "model_class": "throwaway_library.ColThrowaway",
        "processor_class": "throwaway_library.ColThrowawayProcessor",
        "projection": "last_of_all",
        "dimension": 48,
        "dimension_keys": ("numbers_in_a_vector",),
        "padding_side": "right",
        "padding_in_file": True,
        "query_prefixes": (QueryPrefix((0,), "Find: "),),
        "num_augmentation_tokens": 3,
        "mteb_wrappers": frozenset({"ThrowawayWrapper"}),
        "saved_bases": re.compile("throwaway-base"),
        "learning_rates": (LearningRates(float("inf"), 1e-4, 2e-4),),
        "source": "this test",
    }
    return Family(**{**facts, **changes})
