import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("peft")

from builders.tiny_model import guide_lora, random_model, write_base  # noqa: E402 - after the skip
from safetensors.torch import load_file, save_file  # noqa: E402 - after the skip

from colintern.model.loading import LoadError, choose_attention, load_base, load_checkpoint  # noqa: E402 - after the skip
from colintern.model.lora import apply_lora, save_projection_base  # noqa: E402 - after the skip
from colintern.pages.train_base import tiny_processor  # noqa: E402 - after the skip
from colintern.pages.world import training_pairs  # noqa: E402 - after the skip
from colintern.recipes.targets import GUIDE_TARGETS, one_expression  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Found missing adapter keys:UserWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]
"""PEFT 0.20 on transformers 5.23; PEFT on a base that is no folder."""

QUERIES = [pair.query for pair in training_pairs(4)]
ADAPTER = "adapter_model.safetensors"
FULL = {"target_modules": one_expression(GUIDE_TARGETS[:-1]), "projection": "full"}


def embed(model):
    with torch.inference_mode():
        return model(**tiny_processor().process_queries(QUERIES))


def write_adapter(folder, base, **changes):
    """A saved adapter as after training, and the model that it was saved from."""
    adapted, _ = apply_lora(base, guide_lora(**changes), base_name="nobody/base")
    torch.manual_seed(5)
    for name, weight in adapted.named_parameters():
        if weight.requires_grad:
            weight.data += 0.05 * torch.randn(weight.shape)
            assert "vision" not in name
    adapted.save_pretrained(folder)
    save_projection_base(adapted, folder)
    tiny_processor().save_pretrained(folder)
    return adapted.eval()


def without_projection(folder):
    """A base as it is on the Hub: no projection in it."""
    path = folder / "model.safetensors"
    kept = {name: part for name, part in load_file(path).items() if "custom_text" not in name}
    save_file(kept, path, metadata={"format": "pt"})
    return folder


def change_adapter(folder, change):
    tensors = load_file(folder / ADAPTER)
    change(tensors)
    save_file(tensors, folder / ADAPTER, metadata={"format": "pt"})


@pytest.mark.parametrize("changes", [{}, FULL], ids=["lora", "full"])
@pytest.mark.parametrize("plain", [False, True], ids=["base with projection", "plain base"])
def test_checkpoint_rebuilds_embeddings(tmp_path, changes, plain):
    base = write_base(tmp_path / "base")
    trained = write_adapter(tmp_path / "run", random_model(), **changes)
    if plain:
        without_projection(base)
    loaded = load_checkpoint(tmp_path / "run", base=str(base))
    assert torch.equal(embed(loaded.model), embed(trained))
    assert not torch.equal(embed(loaded.model), embed(random_model()))
    assert loaded.adapter_tensors == len(load_file(tmp_path / "run" / ADAPTER))


@pytest.mark.parametrize("changes", [{}, FULL], ids=["lora", "full"])
@pytest.mark.parametrize("plain", [False, True], ids=["base with projection", "plain base"])
def test_merge_keeps_embeddings(tmp_path, changes, plain):
    base = write_base(tmp_path / "base")
    trained = write_adapter(tmp_path / "run", random_model(), **changes)
    if plain:
        without_projection(base)
    merged = load_checkpoint(tmp_path / "run", base=str(base), merge=True)
    assert type(merged.model).__name__ == "ColIntern3_5"
    assert not [name for name in merged.model.state_dict() if "lora" in name or "modules" in name]
    assert torch.allclose(embed(merged.model), embed(trained), atol=1e-5)
    assert not torch.allclose(embed(merged.model), embed(random_model()), atol=1e-2)
    merged.model.save_pretrained(tmp_path / "merged")
    tiny_processor().save_pretrained(tmp_path / "merged")
    again = load_checkpoint(tmp_path / "merged")
    assert torch.equal(embed(again.model), embed(merged.model))


def drop_one(tensors):
    tensors.pop(next(name for name in tensors if "layers.1" in name))


def add_one(tensors):
    tensors["base_model.model.language_model.layers.7.mlp.up_proj.lora_A.weight"] = torch.ones(8, 8)


@pytest.mark.parametrize(("change", "told"), [(drop_one, "is missing 1"), (add_one, "layers.7")])
def test_refuses_other_tensors(tmp_path, change, told):
    base = write_base(tmp_path / "base")
    write_adapter(tmp_path / "run", random_model())
    change_adapter(tmp_path / "run", change)
    for merge in (False, True):
        with pytest.raises(LoadError, match=told):
            load_checkpoint(tmp_path / "run", base=str(base), merge=merge)


def drop_projection_base(tensors):
    for name in [name for name in tensors if "base_layer" in name]:
        del tensors[name]


def test_refuses_a_lost_projection(tmp_path):
    base = without_projection(write_base(tmp_path / "base"))
    write_adapter(tmp_path / "run", random_model())
    change_adapter(tmp_path / "run", drop_projection_base)
    for merge in (False, True):
        with pytest.raises(LoadError, match=r"custom_text_proj\.weight"):
            load_checkpoint(tmp_path / "run", base=str(base), merge=merge)


def test_refuses_an_incomplete_base(tmp_path):
    base = write_base(tmp_path / "base")
    path = base / "model.safetensors"
    tensors = load_file(path)
    del tensors["language_model.norm.weight"]
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(LoadError, match=r"language_model\.norm\.weight"):
        load_base(str(base))


def test_attention_without_gpu():
    assert choose_attention(torch.device("cpu")) == "sdpa"
