import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from builders.tiny_model import guide_lora, random_model  # noqa: E402
from builders.training_pairs import PairRows  # noqa: E402
from colpali_engine.collators import VisualRetrieverCollator  # noqa: E402
from colpali_engine.loss import (  # noqa: E402
    ColbertLoss,
    ColbertNegativeCELoss,
    ColbertPairwiseCELoss,
)
from PIL import Image  # noqa: E402
from transformers import TrainingArguments  # noqa: E402

from colintern.model.lora import apply_lora  # noqa: E402
from colintern.model.modeling import ColIntern3_5  # noqa: E402
from colintern.model.processing import ColIntern3_5Processor  # noqa: E402
from colintern.pages.train_base import tiny_config, tiny_processor  # noqa: E402
from colintern.training.cached_batch import (  # noqa: E402 - after the skip
    RandomState,
    flat_negatives,
    split_rows,
    with_prefix,
)
from colintern.training.frozen_vision import FrozenVision  # noqa: E402
from colintern.training.trainer import ColInternTrainer, RetrievalCollator  # noqa: E402

pytestmark = pytest.mark.filterwarnings(
    "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning",  # PEFT asks transformers
    "ignore:`gradient_checkpointing_enable` is deprecated:FutureWarning",
)

TOLERANCE = 2e-6
"""Largest difference of two gradients, as a share of the largest gradient: rounding in float32."""


def lora_model(dropout=0.0):
    torch.manual_seed(0)
    model, _ = apply_lora(random_model(), guide_lora(dropout=dropout))
    # B is zero at the start, which would hide the gradient of A.
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return model.train()


def batch_of(count, negatives=0, collator=RetrievalCollator):
    rows = PairRows(count, negatives=negatives)
    return collator(tiny_processor())([rows[index] for index in range(count)])


def trainer_of(model, folder, *, loss=None, chunk_size=None, **arguments):
    arguments = {"report_to": [], "use_cpu": True, "max_grad_norm": 0, **arguments}
    return ColInternTrainer(
        model=model,
        args=TrainingArguments(str(folder), **arguments),
        loss_func=loss or ColbertLoss(),
        train_dataset=PairRows(4),
        data_collator=RetrievalCollator(tiny_processor()),
        chunk_size=chunk_size,
    )


@pytest.mark.parametrize(("data_seed", "expected"), [(None, 42), (0, 0), (7, 7)])
def test_the_order_of_pages_has_its_own_seed(tmp_path, data_seed, expected):
    trainer = trainer_of(lora_model(), tmp_path, data_seed=data_seed, per_device_train_batch_size=2)
    assert trainer._get_train_sampler().seed == expected


def gradients(model):
    return {
        name: parameter.grad.clone()
        for name, parameter in model.named_parameters()
        if parameter.grad is not None
    }


def step_gradients(model, folder, batch, **settings):
    trainer = trainer_of(model, folder, **settings)
    trainer.optimizer, trainer.current_gradient_accumulation_steps = None, 1
    model.zero_grad()
    torch.manual_seed(7)
    loss = trainer.training_step(model, dict(batch))
    return loss.item(), gradients(model)


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    scale = max(gradient.abs().max() for gradient in expected.values())
    worst = max((found[name] - expected[name]).abs().max() for name in expected)
    assert scale > 1e-3
    assert worst <= TOLERANCE * scale + 1e-9


@pytest.mark.parametrize("chunk_size", [1, 3, 8])
@pytest.mark.parametrize(
    ("loss", "negatives"),
    [(ColbertLoss(), 0), (ColbertPairwiseCELoss(), 0), (ColbertNegativeCELoss(), 2)],
)
def test_a_cached_batch_has_the_gradient_of_the_whole_batch(tmp_path, chunk_size, loss, negatives):
    model, batch = lora_model(), batch_of(8, negatives)
    plain_loss, plain = step_gradients(model, tmp_path, batch, loss=loss)
    cached_loss, cached = step_gradients(model, tmp_path, batch, loss=loss, chunk_size=chunk_size)
    assert cached_loss == pytest.approx(plain_loss, rel=1e-5)
    assert_same(cached, plain)


def test_dropout_draws_the_same_in_both_passes(tmp_path):
    model, batch, size = lora_model(dropout=0.3), batch_of(8), 2
    trainer = trainer_of(model, tmp_path, chunk_size=size)
    _, cached = step_gradients(model, tmp_path, batch, chunk_size=size)
    # The same chunks with all their graphs kept, drawn in the same order.
    model.zero_grad()
    torch.manual_seed(7)
    queries, pages, _ = trainer._sides(batch)
    sides = [
        torch.cat([model(**chunk) for chunk in trainer._chunks(model, side, pages)])
        for side in (queries, pages)
    ]
    ColbertLoss()(*sides).backward()
    assert_same(cached, gradients(model))


def test_without_the_random_state_dropout_would_draw_anew(tmp_path, monkeypatch):
    model, batch = lora_model(dropout=0.3), batch_of(8)
    _, right = step_gradients(model, tmp_path, batch, chunk_size=2)
    monkeypatch.setattr("colintern.training.cached_batch.RandomState.restore", lambda _: None)
    _, wrong = step_gradients(model, tmp_path, batch, chunk_size=2)
    with pytest.raises(AssertionError):
        assert_same(wrong, right)


def test_a_replay_draws_the_same_and_leaves_no_trace():
    torch.manual_seed(3)
    straight = [torch.rand(1).item() for _ in range(2)]
    torch.manual_seed(3)
    state = RandomState.now(torch.device("cpu"))
    first = torch.rand(1).item()
    with state.replayed():
        again = torch.rand(1).item()
    assert [first, torch.rand(1).item()] == straight
    assert again == first


def test_accumulated_micro_batches_average(tmp_path):
    model, batch = lora_model(), batch_of(8)
    whole, summed = [], {}
    for size in (None, 2):
        trainer = trainer_of(model, tmp_path, chunk_size=size, gradient_accumulation_steps=4)
        trainer.optimizer, trainer.current_gradient_accumulation_steps = None, 4
        model.zero_grad()
        losses = [trainer.training_step(model, dict(batch)).item() for _ in range(4)]
        whole.append(sum(losses))
        summed[size] = gradients(model)
    single_loss, single = step_gradients(model, tmp_path, batch)
    assert whole == pytest.approx([single_loss] * 2, rel=1e-5)
    assert_same(summed[None], single)
    assert_same(summed[2], single)


def tiled_processor():
    processor = tiny_processor()
    return ColIntern3_5Processor(
        processor.image_processor,
        processor.tokenizer,
        image_seq_length=processor.image_seq_length,
        max_num_visual_tokens=7 * processor.image_seq_length,
        visual_prompt=processor.visual_prompt,
    )


def ragged_pages():
    sizes = [(112, 112), (336, 112), (112, 448), (224, 224)]
    return [Image.effect_noise(size, 60 + index) for index, size in enumerate(sizes)]


def test_pages_of_different_tiling_are_split_with_their_tiles():
    inputs = dict(tiled_processor().process_images(ragged_pages()))
    model = random_model()
    parts = split_rows(inputs, 1, model.config.image_token_id)
    counts = [part["pixel_values"].shape[0] for part in parts]
    assert counts == [1, 4, 5, 5]
    with torch.no_grad():
        whole = model(**inputs)
        alone = torch.cat([model(**part) for part in parts])
    assert torch.allclose(whole, alone, atol=1e-5)


def test_ragged_pages_and_negatives_train_cached_as_plain(tmp_path):
    pages, rows = ragged_pages(), PairRows(4)
    collator = RetrievalCollator(tiled_processor())
    batch = collator(
        [
            {
                "query": rows.pairs[index].query,
                "pos_target": [pages[index]],
                "neg_target": [pages[index - 1], pages[index - 2]],
            }
            for index in range(4)
        ]
    )
    model, loss = lora_model(), ColbertNegativeCELoss()
    _, plain = step_gradients(model, tmp_path, batch, loss=loss)
    _, cached = step_gradients(model, tmp_path, batch, loss=loss, chunk_size=1)
    assert_same(cached, plain)


def test_colpali_engines_collator_gives_the_same_negatives():
    ours = with_prefix(batch_of(3, negatives=2), "neg_doc_")
    theirs = with_prefix(batch_of(3, 2, collator=VisualRetrieverCollator), "neg_doc_")
    assert theirs["input_ids"].dim() == 3
    flat = flat_negatives(theirs)
    assert all(torch.equal(flat[key], ours[key]) for key in ours)


def test_a_frozen_vision_tower_runs_once_a_page(tmp_path, monkeypatch):
    model, batch = lora_model(), batch_of(4)
    tower = model.get_base_model().vision_tower
    seen, forward = [], tower.forward
    monkeypatch.setattr(
        tower,
        "forward",
        lambda **kwargs: seen.append(len(kwargs["pixel_values"])) or forward(**kwargs),
    )
    step_gradients(model, tmp_path, batch, chunk_size=1)
    assert seen == [1, 1, 1, 1]
    assert "get_image_features" not in vars(model.get_base_model())


def test_a_vision_tower_that_is_trained_runs_again():
    model = lora_model()
    assert FrozenVision(model)._owner is model.get_base_model()
    next(model.get_base_model().vision_tower.parameters()).requires_grad_()
    assert FrozenVision(model)._owner is None


DRAWS = ("attention_dropout", "hidden_dropout_prob", "projection_dropout")
"""Where a vision tower of InternVL draws dropout."""


@pytest.mark.parametrize("kind", DRAWS)
def test_a_vision_tower_that_draws_runs_again_and_draws_the_same(tmp_path, kind):
    config = tiny_config()
    setattr(config.vision_config, kind, 0.3)
    torch.manual_seed(0)
    model, _ = apply_lora(ColIntern3_5(config), guide_lora(dropout=0.3))
    batch = batch_of(4)
    assert FrozenVision(model.train())._owner is None
    # One chunk draws as the whole batch does: in the tower first, then in LoRA.
    _, cached = step_gradients(model, tmp_path, batch, chunk_size=4)
    _, plain = step_gradients(model, tmp_path, batch)
    assert_same(cached, plain)


def test_evaluation_has_the_loss_of_training_with_negatives_too(tmp_path):
    model, batch = lora_model(), batch_of(6, negatives=1)
    loss = ColbertNegativeCELoss()
    expected, _ = step_gradients(model, tmp_path, batch, loss=loss)
    for size in (None, 2):
        trainer = trainer_of(model, tmp_path, loss=loss, chunk_size=size)
        found, _, _ = trainer.prediction_step(model, dict(batch), prediction_loss_only=True)
        assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("chunk_size", [0, -1])
def test_a_chunk_of_nothing_is_refused(tmp_path, chunk_size):
    with pytest.raises(ValueError, match="chunk_size must be at least 1"):
        trainer_of(random_model(), tmp_path, chunk_size=chunk_size)
