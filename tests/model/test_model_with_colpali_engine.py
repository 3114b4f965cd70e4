import io
import re
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from builders.tiny_model import (  # noqa: E402 - after the skip
    guide_lora,
    write_base,
    write_vision_language_model,
)
from builders.training_pairs import write_image_folder  # noqa: E402 - after the skip
from colpali_engine.data.dataset import ColPaliEngineDataset  # noqa: E402 - after the skip
from colpali_engine.loss import ColbertLoss  # noqa: E402 - after the skip
from colpali_engine.trainer.colmodel_training import (  # noqa: E402 - after the skip
    ColModelTraining,
    ColModelTrainingConfig,
)
from peft import PeftModel  # noqa: E402 - after the skip
from PIL import Image  # noqa: E402 - after the skip
from transformers import TrainingArguments  # noqa: E402 - after the skip

from colintern.model.loading import load_checkpoint  # noqa: E402 - after the skip
from colintern.model.lora import peft_config  # noqa: E402 - after the skip
from colintern.model.modeling import ColIntern3_5  # noqa: E402 - after the skip
from colintern.model.processing import ColIntern3_5Processor  # noqa: E402 - after the skip
from colintern.pages.world import training_pairs  # noqa: E402 - after the skip
from colintern.recipes.named import guide_1b  # noqa: E402 - after the skip
from colintern.recipes.recipe import DataSettings  # noqa: E402 - after the skip
from colintern.training.run import train  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`(is_)?gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
    pytest.mark.filterwarnings("ignore:Found missing adapter keys:UserWarning"),
    pytest.mark.filterwarnings("ignore:Scores out of bounds:UserWarning"),
]

PAIRS = training_pairs(16)


def rows():
    return [
        {"query": pair.query, "pos_target": Image.fromarray(pair.page.pixels())} for pair in PAIRS
    ]


def arguments(folder):
    return TrainingArguments(
        str(folder),
        per_device_train_batch_size=4,
        max_steps=4,
        learning_rate=5e-3,
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        label_names=[],
    )


def embed(model, processor):
    images = [row["pos_target"] for row in rows()[:4]]
    queries = [row["query"] for row in rows()[:4]]
    with torch.inference_mode():
        pages = model(**processor.process_images(images))
        return model(**processor.process_queries(queries)), pages


def test_a_plain_script_of_colpali_engine_trains_and_scores(tmp_path, monkeypatch):
    # It asks git for the commit and leaves the pipe open.
    monkeypatch.setattr("os.popen", lambda _: io.StringIO("commit"))
    base = write_base(tmp_path / "base")
    model = ColIntern3_5.from_pretrained(base)
    processor = ColIntern3_5Processor.from_pretrained(base)
    before = model.language_model.layers[0].mlp.up_proj.weight.clone()
    training = ColModelTraining(
        ColModelTrainingConfig(
            model=model,
            processor=processor,
            train_dataset=ColPaliEngineDataset(rows(), pos_target_column_name="pos_target"),
            tr_args=arguments(tmp_path / "run"),
            output_dir=str(tmp_path / "run"),
            peft_config=peft_config(guide_lora()),
            loss_func=ColbertLoss(),
        )
    )
    training.train()
    training.save()
    trained = training.model.eval()
    queries, pages = embed(trained, processor)
    again = PeftModel.from_pretrained(ColIntern3_5.from_pretrained(base), tmp_path / "run").eval()
    processor = ColIntern3_5Processor.from_pretrained(tmp_path / "run")
    assert all(map(torch.equal, embed(again, processor), (queries, pages)))
    assert torch.equal(before, model.language_model.layers[0].mlp.up_proj.get_base_layer().weight)
    untrained, _ = embed(ColIntern3_5.from_pretrained(base).eval(), processor)
    assert not torch.allclose(untrained, queries, atol=1e-3)
    scores = processor.score(list(queries), list(pages))
    assert scores.shape == (4, 4)
    expected = torch.einsum("qnd,pmd->qpnm", queries, pages).amax(3).sum(2)
    assert torch.allclose(scores, expected, atol=1e-4)


def test_similarity_maps_of_colpali_engine_take_the_model(tmp_path):
    utilities = pytest.importorskip("colpali_engine.interpretability.similarity_map_utils")
    base = write_base(tmp_path / "base")
    processor = ColIntern3_5Processor.from_pretrained(base, max_num_visual_tokens=208)
    model = ColIntern3_5.from_pretrained(base).eval()
    wide = Image.new("L", (400, 112), 200)
    batch = processor.process_images([wide])
    with torch.inference_mode():
        pages = model(**batch)
        queries = model(**processor.process_queries(["memo"]))
    columns, tall = processor.get_n_patches((wide.height, wide.width))
    assert columns > tall
    mask = processor.get_local_image_mask(batch)
    (found,) = utilities.get_similarity_maps_from_embeddings(pages, queries, (columns, tall), mask)
    assert found.shape == (queries.shape[1], columns, tall)


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
def test_the_lines_of_the_model_card_load_the_run(tmp_path, half):
    base = write_vision_language_model(tmp_path / "base")
    write_image_folder(tmp_path / "pages", 8)
    recipe = guide_1b()
    recipe = replace(
        recipe,
        base=str(base),
        data=DataSettings(source=str(tmp_path / "pages")),
        lora=replace(recipe.lora, rank=4, alpha=4),
        learning_rate=1e-2,
        num_train_epochs=1,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=1,
        warmup_steps=1,
        eval_steps=None,
        max_num_visual_tokens=16,
        arguments={"use_cpu": True, "bf16": half, "disable_tqdm": True},
    )
    assert train(recipe, tmp_path / "run")
    card = (tmp_path / "run" / "README.md").read_text()
    lines = re.search(r"```python\n(.*?)```", card, re.DOTALL)[1]
    assert 'folder = "."' in lines
    names = {}
    exec(lines.replace('folder = "."', f"folder = {str(tmp_path / 'run')!r}"), names)  # noqa: S102 - it is what users run
    assert names["scores"].shape == (1, 1)
    dtype = torch.bfloat16 if half else torch.float32
    ours = load_checkpoint(tmp_path / "run", dtype=dtype)
    theirs = embed(names["model"], names["processor"])
    assert theirs[0].dtype == dtype
    assert all(map(torch.equal, theirs, embed(ours.model, ours.processor)))
    adapters = {weight.dtype for name, weight in ours.model.named_parameters() if "lora_" in name}
    assert adapters == {torch.float32}
