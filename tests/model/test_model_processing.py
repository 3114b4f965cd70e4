import pytest

pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from colpali_engine.collators import VisualRetrieverCollator
from PIL import Image

from colintern.model.processing import ColIntern3_5Processor, tiles_within
from colintern.pages.train_base import tiny_processor

SHAPES = [(112, 112), (40, 900), (900, 40), (300, 200), (113, 111), (1, 1), (640, 360), (7, 1200)]
"""Width and height of odd pages."""


def processor(**changes):
    made = tiny_processor()
    values = {"image_seq_length": 16, "max_num_visual_tokens": 16, "visual_prompt": "<IMG_CONTEXT>"}
    return ColIntern3_5Processor(made.image_processor, made.tokenizer, **{**values, **changes})


def visual_tokens(made, size):
    batch = made.process_images([Image.new("L", size, 255)])
    return int((batch["input_ids"] == made.image_token_id).sum())


@pytest.mark.parametrize("size", SHAPES)
@pytest.mark.parametrize("budget", [16, 31, 32, 48, 80, 112, 208])
def test_budget_bounds_tokens(size, budget):
    made = processor(max_num_visual_tokens=budget)
    tokens = visual_tokens(made, size)
    assert tokens <= budget
    assert tokens == made.num_visual_tokens((size[1], size[0]))


def half_transparent():
    page = Image.effect_noise((112, 112), 90).convert("RGBA")
    page.putalpha(Image.linear_gradient("L").resize((112, 112)))
    return page


PAGES = {
    "RGBA": half_transparent(),
    "LA": half_transparent().convert("LA"),
    "P": Image.effect_noise((112, 112), 90).convert("P"),
    "L": Image.effect_noise((112, 112), 90),
    "1": Image.effect_noise((112, 112), 90).convert("1"),
    "CMYK": Image.effect_noise((112, 112), 90).convert("RGB").convert("CMYK"),
}


@pytest.mark.parametrize("mode", PAGES)
def test_a_page_of_any_mode_is_its_rgb(mode):
    page = PAGES[mode]
    assert page.mode == mode
    made = processor()
    found = made.process_images([page])["pixel_values"]
    assert found.equal(made.process_images([page.convert("RGB")])["pixel_values"])


def test_budget_is_used():
    used = {
        visual_tokens(processor(max_num_visual_tokens=budget), (40, 900))
        for budget in (16, 80, 208)
    }
    assert used == {16, 80, 208}


@pytest.mark.parametrize(("budget", "tiles"), [(256, 1), (767, 1), (768, 2), (1536, 5), (9999, 12)])
def test_tiles_within_budget(budget, tiles):
    assert tiles_within(budget, 256) == tiles


def test_budget_below_a_tile():
    with pytest.raises(ValueError, match="allow at least 256"):
        tiles_within(255, 256)


def test_saved_and_read_back(tmp_path):
    made = processor(
        query_prefix="the ",
        query_augmentation_token="<unk>",  # noqa: S106 - no secret
        max_num_visual_tokens=80,
    )
    made.save_pretrained(tmp_path)
    again = ColIntern3_5Processor.from_pretrained(tmp_path)
    names = ("query_prefix", "query_augmentation_token", "visual_prompt", "max_num_visual_tokens")
    assert [getattr(again, name) for name in names] == [getattr(made, name) for name in names]
    assert again.image_processor.max_patches == 4
    assert again.tokenizer.padding_side == "left"


def test_budget_changes_on_reading(tmp_path):
    processor(max_num_visual_tokens=16).save_pretrained(tmp_path)
    wider = ColIntern3_5Processor.from_pretrained(tmp_path, max_num_visual_tokens=208)
    assert visual_tokens(wider, (40, 900)) == 208


def test_queries_as_collator_makes_them():
    made = processor(query_prefix="the ")
    example = {
        "query": "memo from oslo",
        "pos_target": Image.new("L", (112, 112)),
        "neg_target": None,
    }
    collated = VisualRetrieverCollator(processor=made)([example])
    direct = made.process_queries(["memo from oslo"])
    assert collated["query_input_ids"].tolist() == direct["input_ids"].tolist()
    spoken = made.tokenizer.convert_ids_to_tokens(direct["input_ids"][0])
    assert spoken == ["the", "memo", "from", "oslo", *["<|endoftext|>"] * 10]


def test_pads_left():
    batch = processor().process_queries(["memo", "the memo from oslo"])
    assert batch["attention_mask"][0].tolist() == [0, 0, 0] + [1] * 11
    assert batch["attention_mask"][1].tolist() == [1] * 14


def test_pixel_rows_are_tiles():
    made = processor(max_num_visual_tokens=80)
    batch = made.process_images([Image.new("L", (40, 900)), Image.new("L", (112, 112))])
    counts = (batch["input_ids"] == made.image_token_id).sum(dim=1).tolist()
    assert batch["pixel_values"].shape[0] == sum(counts) // 16
    assert counts == [80, 16]


@pytest.mark.parametrize("size", [(112, 112), (40, 900), (300, 200)])
def test_patches_are_the_local_tokens(size):
    made = processor(max_num_visual_tokens=208)
    batch = made.process_images([Image.new("L", size)])
    columns, rows = made.get_n_patches((size[1], size[0]))
    assert columns * rows == int(made.get_local_image_mask(batch).sum())
