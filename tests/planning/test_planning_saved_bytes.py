import weakref

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from builders.tiny_model import guide_lora  # noqa: E402 - after the skip
from transformers import InternVLConfig  # noqa: E402 - after the skip

from colintern.artifacts.model.model_config import as_model_config  # noqa: E402 - after the skip
from colintern.model.lora import apply_lora  # noqa: E402 - after the skip
from colintern.model.modeling import ColIntern3_5  # noqa: E402 - after the skip
from colintern.pages.train_base import tiny_config  # noqa: E402 - after the skip
from colintern.planning.activations import (  # noqa: E402 - after the skip
    Precision,
    Rows,
    adapter_copies,
    saved_forward,
)
from colintern.planning.architecture import architecture_of, find_architecture  # noqa: E402 - after the skip
from colintern.recipes.named import guide_1b, guide_4b  # noqa: E402 - after the skip
from colintern.training.plan import outline  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:`gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]

TOLERANCE = 0.01
"""The issue allows 0.05; the figures differ by a few bytes of autocast's own."""

MID = {
    "hidden_size": 256,
    "intermediate_size": 768,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 64,
}
WIDE = {**MID, "hidden_size": 512, "intermediate_size": 1024, "num_key_value_heads": 2}
SIZES = {"tiny": {}, "mid": MID, "wide": WIDE}
F32 = Precision(weight=4, activation=4, mask=4)
BF16 = Precision(weight=2, activation=2, mask=4, autocast=True)


def configuration(sizes):
    config = tiny_config().to_dict()
    config["text_config"].update(sizes)
    config["text_config"].pop("layer_types", None)
    return InternVLConfig(**config)


def model_of(config, precision, *, checkpointing):
    model = ColIntern3_5(config)
    if precision is BF16:
        model = model.to(torch.bfloat16)
    adapted, _ = apply_lora(model, guide_lora())
    if checkpointing:
        adapted.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs={"use_reentrant": False}
        )
    return adapted.train()


def batch_of(config, *, padded, pages):
    rows, tokens = (3, 60) if pages else (2, 200)
    ids = torch.randint(5, 80, (rows, tokens))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    if pages:
        ids[:, 5:21] = config.image_token_id
        inputs["pixel_values"] = torch.randn(rows, 3, 112, 112)
    if padded:
        inputs["attention_mask"][1, :3] = 0
    return inputs, Rows(rows, tokens)


def bytes_saved(model, inputs, *, autocast):
    known = [*model.parameters(), *model.buffers(), *inputs.values()]
    own = {tensor.untyped_storage().data_ptr() for tensor in known}
    alive = []

    class Kept:
        def __init__(self, tensor):
            self.tensor = tensor

    def pack(tensor):
        kept = Kept(tensor)
        alive.append(weakref.ref(kept))
        return kept

    with (
        torch.autograd.graph.saved_tensors_hooks(pack, lambda kept: kept.tensor),
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast),
    ):
        output = model(**inputs)
    storages = [kept.tensor.untyped_storage() for each in alive if (kept := each()) is not None]
    assert output.requires_grad
    sizes = {each.data_ptr(): each.nbytes() for each in storages if each.data_ptr() not in own}
    return sum(sizes.values())


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize(
    ("precision", "padded", "pages"),
    [(F32, True, True), (F32, False, False), (BF16, True, True), (BF16, False, True)],
)
def test_the_model_counts_what_autograd_saves(size, checkpointing, precision, padded, pages):
    config = configuration(SIZES[size])
    architecture = architecture_of(as_model_config("config.json", config.to_dict()), size, "test")
    model = model_of(config, precision, checkpointing=checkpointing)
    inputs, rows = batch_of(config, padded=padded, pages=pages)
    counted = saved_forward(
        architecture,
        rows,
        8,
        precision,
        attention="masked" if padded else "plain",
        checkpointing=checkpointing,
    ) + adapter_copies(architecture, 8, precision, checkpointing=checkpointing)
    seen = bytes_saved(model, inputs, autocast=precision is BF16)
    assert counted == pytest.approx(seen, rel=TOLERANCE)


@pytest.mark.parametrize(("recipe", "modules"), [(guide_1b, 197), (guide_4b, 253)])
def test_parameters_are_those_of_the_real_model(recipe, modules):
    settings = recipe()
    model, coverage = outline(settings)
    architecture = find_architecture(settings.base)
    rank = settings.lora.rank
    assert architecture.lora_modules == len(coverage.matched) == modules
    assert architecture.lora_parameters(rank) == coverage.trainable_parameters
    assert architecture.frozen_parameters == coverage.all_parameters - coverage.trainable_parameters
    parts = {"language_model": 0, "vision_tower": 0, "multi_modal_projector": 0}
    for name, parameter in model.get_base_model().named_parameters():
        part = name.split(".", 1)[0]
        if part in parts and "lora_" not in name:
            parts[part] += parameter.numel()
    assert list(parts.values()) == [
        architecture.language_parameters,
        architecture.vision_parameters,
        architecture.connector_parameters,
    ]
