import hashlib
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from builders.tiny_model import write_vision_language_model  # noqa: E402 - after the skip
from builders.training_pairs import write_image_folder  # noqa: E402 - after the skip
from click.testing import CliRunner  # noqa: E402 - after the skip
from PIL import Image  # noqa: E402 - after the skip
from safetensors.torch import load_file  # noqa: E402 - after the skip

from colintern.cli import main  # noqa: E402 - after the skip
from colintern.model.loading import load_base, load_checkpoint  # noqa: E402 - after the skip
from colintern.model.processing import ColIntern3_5Processor  # noqa: E402 - after the skip
from colintern.training.init_base import write_base  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`gradient_checkpointing:FutureWarning"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]

GUIDE_RUN = (
    *("train", "--recipe", "guide_1b", "--eval-strategy", "no", "--num_train_epochs", "1"),
    *("--contrastive-batch-size", "4", "--gradient-accumulation-steps", "1", "--use_cpu"),
    *("--warmup_steps", "1", "--lr", "1e-2", "--disable-tqdm", "true", "--set", "lora.rank=4"),
    *("--set", "data.eval_split=none", "--set", "data.eval_rows=0"),
    *("--set", "max_num_visual_tokens=16", "--dataloader-num-workers", "0"),
)
"""The guide's recipe, with its targets, on a base and data of this machine."""

EMBEDDING_SCRIPT = """
import hashlib, sys
from pathlib import Path
import torch
from PIL import Image
from colintern.model.loading import load_checkpoint

torch.set_num_threads(1)
loaded = load_checkpoint(Path(sys.argv[1]))
with torch.inference_mode():
    queries = loaded.model(**loaded.processor.process_queries(["memo from oslo", "lamps"]))
    pages = loaded.model(**loaded.processor.process_images([Image.new("L", (112, 112), 99)]))
for vectors in (queries, pages):
    print(hashlib.sha256(vectors.numpy().tobytes()).hexdigest())
"""


def invoke(*options):
    return CliRunner().invoke(main, [*map(str, options)])


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return write_vision_language_model(tmp_path_factory.mktemp("plain") / "base")


def test_the_written_base_has_a_seeded_projection(plain, tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        result = invoke("init-base", plain, "--output-dir", tmp_path / name, "--seed", seed)
        assert result.exit_code == 0, result.output
    files = {name: (tmp_path / name / "model.safetensors").read_bytes() for name in "abc"}
    assert files["a"] == files["b"] != files["c"]
    model, missing = load_base(str(tmp_path / "a"))
    assert (missing, model.config.dim) == (frozenset(), 128)
    original = load_file(plain / "model.safetensors")
    written = load_file(tmp_path / "a" / "model.safetensors")
    assert len(written) == len(original) + 2
    assert written["custom_text_proj.weight"].dtype == torch.bfloat16
    rest = [tensor for name, tensor in written.items() if "custom" not in name]
    assert all(any(torch.equal(each, other) for other in original.values()) for each in rest)


def test_dimension_and_budget_are_saved_with_the_base(plain, tmp_path):
    write_base(str(plain), tmp_path / "base", dim=32, max_num_visual_tokens=48)
    model, _ = load_base(str(tmp_path / "base"))
    assert model.custom_text_proj.out_features == 32
    processor = ColIntern3_5Processor.from_pretrained(tmp_path / "base")
    page = processor.process_images([Image.new("L", (900, 40))])["input_ids"]
    assert int((page == processor.image_token_id).sum()) == 48


def with_projection(plain, folder):
    write_base(str(plain), folder / "once")
    return folder / "once", folder / "new"


def into_a_full_folder(plain, folder):
    (folder / "new").mkdir()
    (folder / "new" / "notes.txt").touch()
    return plain, folder / "new"


def without_weights(_, folder):
    (folder / "empty").mkdir()
    return folder / "empty", folder / "new"


MISTAKES = {
    "a base that has one": (with_projection, "has a projection already"),
    "a folder that is not empty": (into_a_full_folder, "must be empty, but it is not"),
    "no base": (without_weights, "must have its configuration"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_error_and_writes_nothing(plain, tmp_path, name):
    make, message = MISTAKES[name]
    source, folder = make(plain, tmp_path)
    result = invoke("init-base", source, "--output-dir", folder)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert not (folder / "model.safetensors").exists()
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_leaves_no_half_base(plain, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(ColIntern3_5Processor, "save_pretrained", full)
    result = invoke("init-base", plain, "--output-dir", tmp_path / "new")
    assert (result.exit_code, list(tmp_path.iterdir())) == (1, [])
    assert "No space left on device" in result.output


@pytest.fixture(scope="module")
def run(plain, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain-run")
    write_image_folder(folder / "pages", 8)
    where = ("--base", plain, "--dataset", folder / "pages", "--output-dir", folder / "run")
    result = invoke(*GUIDE_RUN, *where)
    assert result.exit_code == 0, result.output
    return folder / "run"


def test_a_run_on_a_plain_base_carries_its_projection(plain, run):
    assert "custom_text_proj.weight" in load_base(str(plain))[1]
    stored = load_file(run / "adapter_model.safetensors")
    assert {"weight", "bias"} == {
        name.rsplit(".", 1)[1] for name in stored if "custom_text_proj.base_layer" in name
    }


def test_a_fresh_process_rebuilds_it_bit_for_bit(run):
    command = [sys.executable, "-c", EMBEDDING_SCRIPT, str(run)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as fresh:
        torch.manual_seed(9)
        torch.set_num_threads(1)
        model, processor = (loaded := load_checkpoint(run)).model, loaded.processor
        with torch.inference_mode():
            queries = model(**processor.process_queries(["memo from oslo", "lamps"]))
            pages = model(**processor.process_images([Image.new("L", (112, 112), 99)]))
        ours = [hashlib.sha256(each.numpy().tobytes()).hexdigest() for each in (queries, pages)]
        assert fresh.communicate(timeout=120)[0].split()[-2:] == ours
