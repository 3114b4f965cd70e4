import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from builders.tiny_model import write_base  # noqa: E402 - after the skip
from builders.training_pairs import write_image_folder  # noqa: E402 - after the skip
from click.testing import CliRunner  # noqa: E402 - after the skip
from safetensors.torch import load_file  # noqa: E402 - after the skip
from support.short_run import recipe_of  # noqa: E402 - after the skip

from colintern.cli import main  # noqa: E402 - after the skip
from colintern.recipes.recipe import DataSettings  # noqa: E402 - after the skip
from colintern.training.faults import BadRowError  # noqa: E402 - after the skip
from colintern.training.run import train  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]

ROWS = 72
BAD = 70
"""Behind the rows that are looked at before training begins."""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    torch.set_num_threads(1)
    return write_base(tmp_path_factory.mktemp("bad-row") / "base")


@pytest.fixture
def pages(tmp_path):
    folder = write_image_folder(tmp_path / "pages", ROWS)
    page = folder / f"{BAD}.png"
    page.rename(tmp_path / "sound.png")
    page.write_bytes(b"no image")
    return folder


def recipe(base, pages):
    return recipe_of(
        base,
        data=DataSettings(source=str(pages)),
        eval_steps=None,
        per_device_train_batch_size=8,
        num_train_epochs=1,
        save_steps=100,
    )


def weights(run):
    return load_file(run / "adapter_model.safetensors")


def test_a_late_bad_row_ends_the_run_with_a_checkpoint_and_mended_it_goes_on(base, pages, tmp_path):
    run = tmp_path / "run"
    with pytest.raises(BadRowError, match=r"row 70: its page cannot be used: .* mend it") as caught:
        train(recipe(base, pages), run)
    (checkpoint,) = run.glob("checkpoint-*")
    assert f"{checkpoint.name} is saved, --resume goes on from it" in str(caught.value)
    assert json.loads((run / "colintern_run.json").read_text())["status"] == "interrupted"
    assert not (run / "adapter_model.safetensors").exists()
    (tmp_path / "sound.png").rename(pages / f"{BAD}.png")
    assert train(recipe(base, pages), run, resume=True)
    assert train(recipe(base, pages), tmp_path / "whole")
    ours, whole = weights(run), weights(tmp_path / "whole")
    assert all(torch.equal(ours[name], whole[name]) for name in whole)


def test_a_late_bad_row_is_one_error_of_the_command_and_can_be_skipped(base, pages, tmp_path):
    options = (
        *("--recipe", "tiny", "--contrastive-batch-size", "8", "--num_train_epochs", "1"),
        *("--eval-strategy", "no", "--use_cpu", "--disable-tqdm", "true", "--warmup_steps", "2"),
        *("--base", base, "--dataset", pages, "--output-dir", tmp_path / "run"),
        *("--dataloader_num_workers", "1"),
    )
    failed = CliRunner().invoke(main, ["train", *map(str, options)])
    assert failed.exit_code == 1, failed.output
    (told,) = [line for line in failed.stderr.splitlines() if line.startswith("Error: ")]
    assert "row 70: its page cannot be used" in told
    assert "--on-bad-row skip" in told
    assert "Traceback" not in failed.stderr
    again = CliRunner().invoke(
        main, ["train", *map(str, options), "--resume", "--on-bad-row", "skip"]
    )
    assert again.exit_code == 0, again.output
    state = json.loads((tmp_path / "run" / "trainer_state.json").read_text())
    assert state["global_step"] == ROWS // 8
