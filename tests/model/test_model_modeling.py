import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from builders.tiny_model import random_model  # noqa: E402 - after the skip
from PIL import Image  # noqa: E402 - after the skip
from safetensors.torch import load_file, save_file  # noqa: E402 - after the skip
from transformers import InternVLForConditionalGeneration  # noqa: E402 - after the skip

from colintern.model.loading import load_base  # noqa: E402 - after the skip
from colintern.model.modeling import ColIntern3_5, unit_vectors  # noqa: E402 - after the skip
from colintern.model.processing import ColIntern3_5Processor  # noqa: E402 - after the skip
from colintern.pages.train_base import tiny_config, tiny_processor  # noqa: E402 - after the skip
from colintern.pages.world import training_pairs  # noqa: E402 - after the skip
from colintern.recipes.named import tiny  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]
"""PEFT 0.20 on transformers 5.23; PEFT on a base that is no folder."""


PAIRS = training_pairs(8)


@pytest.fixture(scope="module")
def model():
    return random_model()


@pytest.fixture
def trained():
    # Attention of random weights is too weak to show what it lets through.
    return load_base(tiny().base)[0].eval()


@pytest.fixture(scope="module")
def processor():
    return tiny_processor()


def embed(model, features):
    with torch.inference_mode():
        return model(**features)


def query_features(processor, count=8):
    return processor.process_queries([pair.query for pair in PAIRS[:count]] + ["memo"])


def page_features(processor, count=8):
    return processor.process_images([Image.fromarray(pair.page.pixels()) for pair in PAIRS[:count]])


def test_zero_vector_stays_zero():
    vectors = torch.zeros(1, 2, 4, requires_grad=True)
    unit = unit_vectors(vectors, torch.ones(1, 2, dtype=torch.bool))
    unit.sum().backward()
    assert torch.equal(unit, torch.zeros(1, 2, 4))
    assert vectors.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_tiny_vector_has_length_one(dtype):
    vectors = torch.full((1, 1, 4), 1e-4, dtype=dtype)
    unit = unit_vectors(vectors, torch.ones(1, 1, dtype=torch.bool))
    assert unit.float().norm().item() == pytest.approx(1, abs=1e-2)


def test_masked_row_is_zero_even_if_nan():
    vectors = torch.tensor([[[float("nan"), 1.0], [3.0, 4.0]]])
    unit = unit_vectors(vectors, torch.tensor([[False, True]]))
    assert unit.tolist() == [[[0.0, 0.0], [pytest.approx(0.6), pytest.approx(0.8)]]]


def test_embeddings_are_unit_or_zero(model, processor):
    features = query_features(processor)
    vectors = embed(model, features)
    kept = features["attention_mask"].bool()
    assert vectors.shape[-1] == 128
    assert torch.allclose(vectors[kept].norm(dim=-1), torch.ones(int(kept.sum())), atol=1e-5)
    assert (~kept).any()
    assert vectors[~kept].abs().max() == 0


def unequal_inputs(kind):
    made = tiny_processor()
    if kind == "queries":
        return made.process_queries, [pair.query for pair in PAIRS] + ["memo"]
    several_tiles = ColIntern3_5Processor(
        made.image_processor,
        made.tokenizer,
        image_seq_length=made.image_seq_length,
        max_num_visual_tokens=5 * made.image_seq_length,
        visual_prompt=made.visual_prompt,
    )
    pages = [Image.fromarray(pair.page.pixels()) for pair in PAIRS[:3]]
    wide = pages[0].resize((pages[0].width * 4, pages[0].height))
    return several_tiles.process_images, [*pages, wide]


@pytest.mark.parametrize("kind", ["queries", "pages"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_batch_mates_change_nothing(trained, kind, dtype):
    model = trained.to(dtype)
    process, inputs = unequal_inputs(kind)
    together = process(inputs)
    vectors = embed(model, together)
    assert not together["attention_mask"].bool().all()
    for row, one in enumerate(inputs):
        kept = vectors[row, together["attention_mask"][row].bool()].float()
        alone = embed(model, process([one]))[0].float()
        if dtype == torch.float32:
            assert torch.allclose(alone, kept, atol=1e-4)
        else:
            assert torch.nn.functional.cosine_similarity(alone, kept, dim=-1).min() >= 0.999


def test_dimension_is_in_the_config():
    config = tiny_config()
    config.dim = 32
    model = ColIntern3_5(config)
    assert model.custom_text_proj.out_features == 32


def test_only_image_tokens_on_request(processor):
    model = ColIntern3_5(tiny_config(), mask_non_image_embeddings=True).eval()
    features = page_features(processor, count=1)
    vectors = embed(model, features)
    is_image = features["input_ids"] == model.config.image_token_id
    assert vectors[~is_image].abs().max() == 0
    assert vectors[is_image].norm(dim=-1).min() > 0.99


def renamed_output_layer(name):
    return name.replace("language_model.model.", "model.language_model.")


def renamed_towers(name):
    for tower in ("vision_tower", "multi_modal_projector"):
        name = name.replace(tower, f"model.{tower}")
    return renamed_output_layer(name)


@pytest.mark.parametrize("rename", [str, renamed_output_layer, renamed_towers])
def test_generation_checkpoint_is_a_base(tmp_path, rename):
    torch.manual_seed(1)
    reader = InternVLForConditionalGeneration(tiny_config())
    reader.save_pretrained(tmp_path)
    path = tmp_path / "model.safetensors"
    stored = {rename(name): tensor for name, tensor in load_file(path).items()}
    assert any("language_model.model." in name for name in stored) == (rename is str)
    save_file(stored, path, metadata={"format": "pt"})
    model, missing = load_base(str(tmp_path))
    assert missing == {"custom_text_proj.weight", "custom_text_proj.bias"}
    expected = reader.model.language_model.layers[1].mlp.up_proj.weight
    assert torch.equal(model.language_model.layers[1].mlp.up_proj.weight, expected)
    model.save_pretrained(tmp_path / "again")
    again, missing = load_base(str(tmp_path / "again"))
    assert not missing
    assert torch.equal(again.custom_text_proj.weight, model.custom_text_proj.weight)
    assert set(load_file(tmp_path / "again" / "model.safetensors")) == set(model.state_dict())
