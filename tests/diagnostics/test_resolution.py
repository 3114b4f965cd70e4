import pytest

from colintern.artifacts.model.processor_config import ImageProcessorConfig, ProcessorConfig
from colintern.artifacts.results.evaluation_record import EvaluationRecord
from colintern.diagnostics.processor.resolution import page_budgets

QWEN = {"image_processor_type": "Qwen2VLImageProcessor", "size": {"longest_edge": 602_112}}
IDEFICS = {
    "image_processor_type": "Idefics3ImageProcessor",
    "size": {"longest_edge": 2_048},
    "max_image_size": {"longest_edge": 512},
}
SIGLIP = {"image_processor_type": "SiglipImageProcessor", "size": {"height": 448, "width": 448}}


def saved(tmp_path, image, **values):
    config = ImageProcessorConfig(**image)
    return ProcessorConfig(path=tmp_path, image=config, has_image_processor=True, **values)


@pytest.mark.parametrize(
    ("image", "half", "then", "now"),
    [
        (QWEN, {"longest_edge": 301_056}, 768, 384),
        (IDEFICS, {"longest_edge": 1_024}, 17 * 64, 5 * 64),
        (SIGLIP, {"height": 224, "width": 224}, None, None),
    ],
)
def test_a_halved_page_is_seen_without_a_budget(tmp_path, image, half, then, now):
    record = EvaluationRecord(most_visual_tokens=then)
    budgets = page_budgets(None, saved(tmp_path, image), record)
    assert set(budgets.values()) == ({then} if then else set())
    changed = page_budgets(None, saved(tmp_path, image | {"size": half}), record)
    assert list(changed.values()) == ([now, then] if then else [])


def test_a_budget_counts_before_the_largest_page(tmp_path):
    processor = saved(tmp_path, QWEN, max_num_visual_tokens=768)
    record = EvaluationRecord(max_num_visual_tokens=768, most_visual_tokens=12)
    assert set(page_budgets(None, processor, record).values()) == {768}
    assert page_budgets(None, processor, EvaluationRecord()) == {"the saved processor": 768}
