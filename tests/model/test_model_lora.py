import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from builders.tiny_model import guide_lora, random_model  # noqa: E402 - after the skip
from safetensors.torch import load_file  # noqa: E402 - after the skip
from transformers import InternVLConfig  # noqa: E402 - after the skip

from colintern.model.lora import TargetError, apply_lora, projection_matrix, save_projection_base  # noqa: E402 - after the skip
from colintern.model.modeling import ColIntern3_5  # noqa: E402 - after the skip
from colintern.recipes.targets import GUIDE_TARGETS, one_expression  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]
"""PEFT 0.20 on transformers 5.23; PEFT on a base that is no folder."""


ONE_BILLION = {
    "model_type": "qwen3",
    "hidden_size": 1024,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 3072,
    "vocab_size": 151_936,
}
"""The language model of InternVL3.5-1B."""


def full_size_model():
    with torch.device("meta"):
        return ColIntern3_5(InternVLConfig(text_config=dict(ONE_BILLION)))


def test_guide_targets_at_full_size():
    _, coverage = apply_lora(full_size_model(), guide_lora(rank=32, alpha=32))
    assert len(coverage.matched) == 197
    assert coverage.trainable_parameters == 20_221_952
    assert not [name for name in coverage.matched if "vision" in name]


def test_guide_list_reaches_the_projection_only():
    settings = guide_lora(rank=32, target_modules=GUIDE_TARGETS, tolerate_unmatched=True)
    _, coverage = apply_lora(full_size_model(), settings)
    assert coverage.matched == ("custom_text_proj",)
    assert coverage.trainable_parameters == 36_864


@pytest.mark.parametrize(
    ("targets", "named"),
    [
        (GUIDE_TARGETS, "language_model.layers.*.mlp.down_proj"),
        (("q_proj", "no_such_proj"), "no_such_proj"),
        ("no_such_.*", "no_such_.*"),
    ],
)
def test_target_that_matches_nothing(targets, named):
    with pytest.raises(TargetError) as caught:
        apply_lora(random_model(), guide_lora(target_modules=targets))
    assert named in str(caught.value)
    assert "custom_text_proj," not in str(caught.value)


@pytest.mark.parametrize("targets", [("q_proj", "custom_text_proj"), ".*q_proj|custom_text_proj"])
def test_targets_that_match(targets):
    _, coverage = apply_lora(random_model(), guide_lora(target_modules=targets))
    assert "custom_text_proj" in coverage.matched


def test_glob_does_not_cross_dots():
    expression = one_expression(["layers.*.q_proj"])
    assert expression == r"layers\.[^.]+\.q_proj"


def test_whole_projection_is_trained():
    settings = guide_lora(target_modules=one_expression(GUIDE_TARGETS[:-1]), projection="full")
    adapted, coverage = apply_lora(random_model(), settings)
    assert len(coverage.matched) == 14
    trained = [name for name, weight in adapted.named_parameters() if weight.requires_grad]
    assert any("custom_text_proj.modules_to_save" in name for name in trained)


def test_projection_base_is_saved(tmp_path):
    adapted, _ = apply_lora(random_model(), guide_lora())
    adapted.save_pretrained(tmp_path)
    before = load_file(tmp_path / "adapter_model.safetensors")
    save_projection_base(adapted, tmp_path)
    after = load_file(tmp_path / "adapter_model.safetensors")
    assert {name.removeprefix("base_model.model.") for name in after.keys() - before.keys()} == {
        "custom_text_proj.base_layer.weight",
        "custom_text_proj.base_layer.bias",
    }
    saved = after["base_model.model.custom_text_proj.base_layer.weight"]
    assert torch.equal(saved, projection_matrix(adapted))


def test_adapter_records_the_name_of_its_base(tmp_path):
    adapted, _ = apply_lora(random_model(), guide_lora(), base_name="colintern/tiny-base")
    adapted.save_pretrained(tmp_path)
    assert (
        '"base_model_name_or_path": "colintern/tiny-base"'
        in (tmp_path / "adapter_config.json").read_text()
    )
