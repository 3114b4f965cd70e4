import json
import os
import random
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from builders.tiny_model import write_base  # noqa: E402 - after the skip
from builders.training_pairs import write_image_folder  # noqa: E402 - after the skip
from safetensors.torch import load_file  # noqa: E402 - after the skip
from support.short_run import recipe_of  # noqa: E402 - after the skip

from colintern.artifacts.logs.resource_log import read_resource_log  # noqa: E402 - after the skip
from colintern.artifacts.run.layout import STAGING  # noqa: E402 - after the skip
from colintern.recipes.named import tiny  # noqa: E402 - after the skip
from colintern.recipes.recipe import DataSettings  # noqa: E402 - after the skip
from colintern.training.checkpoints import (  # noqa: E402 - after the skip
    fault_of,
    newest_whole_checkpoint,
    numbered_checkpoints,
    rotate,
)
from colintern.training.faults import NotFiniteError  # noqa: E402 - after the skip
from colintern.training.preflight import PreflightError  # noqa: E402 - after the skip
from colintern.training.run import train  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
    pytest.mark.filterwarnings("ignore:`gradient_checkpointing` is deprecated:FutureWarning"),
]

SCRIPT = Path(__file__).parents[1] / "support" / "short_run.py"
TIMED = {
    "eval_runtime",
    "eval_samples_per_second",
    "eval_steps_per_second",
    "train_runtime",
    "train_samples_per_second",
    "train_steps_per_second",
    "train_loss",
}
"""What a log row holds of time, or of the last process alone."""


def run_alone(base, run, *options):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, str(SCRIPT), str(base), str(run), *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def curve(run):
    rows = json.loads((run / "trainer_state.json").read_text())["log_history"]
    return [{key: value for key, value in row.items() if key not in TIMED} for row in rows]


def same_weights(run, other):
    ours, theirs = (load_file(each / "adapter_model.safetensors") for each in (run, other))
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


def status(run):
    return json.loads((run / "colintern_run.json").read_text())["status"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("resume")
    write_base(folder / "base")
    # Two queries a page: 14 pages, of which two are held out with their four queries.
    write_image_folder(folder / "pages", 28, pages=14)
    torch.set_num_threads(1)
    assert train(recipe_of(folder / "base"), folder / "whole-run")
    return folder


def test_a_whole_run_leaves_all_evidence_and_no_staging(folder):
    run = folder / "whole-run"
    names = {path.name for path in run.iterdir()}
    assert {"checkpoint-9", "checkpoint-12", "README.md", "trainer_state.json"} <= names
    assert STAGING not in names
    assert status(run) == "completed"
    log = read_resource_log(run / "colintern_resources.jsonl", None)
    assert [row.step for row in log.rows] == [2, 4, 6, 8, 10, 12]
    assert all(fault_of(path) is None for path in numbered_checkpoints(run))


def assert_ends_like_the_whole_run(folder, run):
    done = run_alone(folder / "base", run, "resume")
    assert done.returncode == 0, done.stderr[-3000:]
    assert "LoRA on 14 modules" in done.stderr
    assert not [word for word in ("FastPlaid", "pynvml") if word in done.stdout + done.stderr]
    assert curve(run) == curve(folder / "whole-run")
    assert same_weights(run, folder / "whole-run")
    assert status(run) == "completed"
    assert not (run / STAGING).exists()


def test_a_run_killed_while_it_saves_ends_like_one_that_was_not(folder):
    run = folder / "killed-run"
    killed = run_alone(folder / "base", run, "kill-at=checkpoint-9/trainer_state.json")
    assert killed.returncode == -9, killed.stderr[-3000:]
    assert [path.name for path in numbered_checkpoints(run)] == ["checkpoint-3", "checkpoint-6"]
    assert (run / STAGING / "checkpoint-9").is_dir()
    assert_ends_like_the_whole_run(folder, run)


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", range(10))
def test_a_run_killed_at_any_moment_ends_like_one_that_was_not(folder, seed):
    run = folder / f"moment-{seed}-run"
    command = [sys.executable, str(SCRIPT), str(folder / "base"), str(run)]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (run / "colintern_run.json").exists():
            time.sleep(0.01)
        time.sleep(random.Random(seed).uniform(0, 2))  # the twelve steps take about so long
        process.kill()
    assert all(fault_of(path) is None for path in numbered_checkpoints(run))
    assert_ends_like_the_whole_run(folder, run)


def test_sigterm_saves_and_exits_and_the_run_goes_on(folder):
    run = folder / "term-run"
    ended = run_alone(folder / "base", run, "term")
    assert ended.returncode == 143, ended.stderr[-3000:]
    assert status(run) == "interrupted"
    assert (run / "checkpoint-5").is_dir()  # between two saves, and between two log rows
    assert_ends_like_the_whole_run(folder, run)


def damaged(run, damage, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    damage(copy / "checkpoint-12")
    return copy


def truncate(name):
    def damage(checkpoint):
        path = checkpoint / name
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    return damage


DAMAGES = {
    "state": truncate("trainer_state.json"),
    "weights": truncate("adapter_model.safetensors"),
    "optimizer": truncate("optimizer.pt"),
    "no optimizer": lambda checkpoint: (checkpoint / "optimizer.pt").unlink(),
    "no scheduler": lambda checkpoint: (checkpoint / "scheduler.pt").unlink(),
    "no weights": lambda checkpoint: (checkpoint / "adapter_model.safetensors").unlink(),
    "sentinel": lambda checkpoint: (checkpoint / "checkpoint-is-incomplete.txt").touch(),
    "other step": lambda checkpoint: checkpoint.rename(checkpoint.with_name("checkpoint-99")),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_an_incomplete_checkpoint_is_passed_over(folder, tmp_path, name, caplog):
    run = damaged(folder / "whole-run", DAMAGES[name], tmp_path)
    assert newest_whole_checkpoint(run) == run / "checkpoint-9"
    assert "passed over" in caplog.text


def test_a_run_that_goes_on_from_its_end_takes_no_step(folder, tmp_path):
    # Five steps end within an epoch, where the rate is not yet 0.
    recipe = recipe_of(
        folder / "base",
        save_steps=5,
        arguments={
            "use_cpu": True,
            "disable_tqdm": True,
            "max_steps": 5,
            "lr_scheduler_type": "constant",
        },
    )
    assert train(recipe, tmp_path / "run")
    whole = tmp_path / "whole"
    shutil.copytree(tmp_path / "run", whole)
    for name in ("adapter_model.safetensors", "adapter_config.json", "trainer_state.json"):
        (tmp_path / "run" / name).unlink()
    assert train(recipe, tmp_path / "run", resume=True)
    assert [path.name for path in numbered_checkpoints(tmp_path / "run")] == ["checkpoint-5"]
    assert same_weights(tmp_path / "run", whole)
    assert json.loads((tmp_path / "run" / "trainer_state.json").read_text())["global_step"] == 5


def other(**changes):
    return {"arguments": {"use_cpu": True, "disable_tqdm": True, **changes}}


def lora(**changes):
    return {"lora": replace(tiny().lora, **changes)}


KEPT = {
    "learning_rate": ({"learning_rate": 1e-4}, "was 0.002 and is 0.0001"),
    "weight_decay": ({"weight_decay": 0.5}, "was 0.0 and is 0.5"),
    "optim": (other(optim="sgd"), "was .* and is sgd"),
    "adam_beta2": (other(adam_beta2=0.9), "was 0.999 and is 0.9"),
    "max_grad_norm": ({"max_grad_norm": 2.0}, "was 1.0 and is 2.0"),
    "per_device_train_batch_size": ({"per_device_train_batch_size": 2}, "was 4 and is 2"),
    "gradient_accumulation_steps": ({"gradient_accumulation_steps": 2}, "was 1 and is 2"),
    "lr_scheduler_type": ({"lr_scheduler_type": "cosine"}, "was linear and is cosine"),
    "warmup_steps": ({"warmup_steps": 3}, "was 2 and is 3"),
    "num_train_epochs": ({"num_train_epochs": 3}, "was 2 and is 3"),
    "max_steps": (other(max_steps=20), "was -1 and is 20"),
    "seed": ({"seed": 1}, "was 0 and is 1"),
    "data_seed": (other(data_seed=5), "was None and is 5"),
    "temperature": ({"temperature": 0.1}, "was 0.05 and is 0.1"),
    "normalize_scores": ({"normalize_scores": False}, "was True and is False"),
    "max_num_visual_tokens": ({"max_num_visual_tokens": 48}, "was .* and is 48"),
    "lora.rank": (lora(rank=4), "was 16 and is 4"),
    "lora.alpha": (lora(alpha=32), "was 16 and is 32"),
    "lora.dropout": (lora(dropout=0.2), "was 0.1 and is 0.2"),
    "lora.target_modules": (lora(target_modules=".*q_proj"), r"was .* and is \.\*q_proj"),
    "modules that are trained whole": (
        lora(projection="lora"),
        r"was \['custom_text_proj'\] and is None",
    ),
}
"""Settings that decide the steps of a run, with another value and what is told of it."""


def copy_of(run, tmp_path):
    return shutil.copytree(run, tmp_path / "run")


def refused(recipe, run, message):
    with pytest.raises(PreflightError, match=message) as caught:
        train(recipe, run, resume=True)
    assert "give --resume with the options that the run began with" in str(caught.value)
    assert status(run) == "completed"


@pytest.mark.parametrize("name", KEPT)
def test_a_run_goes_on_with_what_it_began_with(folder, tmp_path, name):
    changes, values = KEPT[name]
    message = f"go on with the {name} it began with, but that {values}"
    refused(recipe_of(folder / "base", **changes), copy_of(folder / "whole-run", tmp_path), message)


def pages(folder, **changes):
    return {"data": DataSettings(**{"source": str(folder), "eval_rows": 4, **changes})}


def test_a_run_goes_on_with_its_data_and_its_base(folder, tmp_path):
    run, base = copy_of(folder / "whole-run", tmp_path), folder / "base"
    fewer = recipe_of(base, **pages(folder / "pages", eval_rows=8))
    refused(fewer, run, "the rows of the data it began with, but that was 24 and is 20")
    others = recipe_of(base, **pages(folder / "pages", seed=1))
    refused(others, run, r"the dataset it began with, but that was pages \(sha256 \w{12}\) and is")
    write_base(tmp_path / "other", seed=1)
    # Its pages lie beside it.
    shutil.copytree(folder / "pages", tmp_path / "pages")
    refused(recipe_of(tmp_path / "other"), run, "the base it began with, but that was .*/base and")


def test_a_run_goes_on_with_as_many_processes(folder, tmp_path):
    run = copy_of(folder / "whole-run", tmp_path)
    path = run / "checkpoint-12" / "colintern_run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"world_size": 2}))
    refused(recipe_of(folder / "base"), run, "the number of processes .* was 2 and is 1")


def test_all_that_is_another_is_named(folder, tmp_path):
    run = copy_of(folder / "whole-run", tmp_path)
    recipe = recipe_of(folder / "base", temperature=1.0, seed=7)
    refused(recipe, run, r"go on with the seed .* 0 and is 7 \(other too: temperature\)")


FREE = {
    "what is written": {"save_steps": 1, "logging_steps": 1, "save_total_limit": None},
    "evaluation": {"eval_steps": None},
    "how it is computed": {**other(gradient_checkpointing=True), "chunk_size": 2},
}


@pytest.mark.parametrize("name", FREE)
def test_what_decides_no_step_may_change(folder, tmp_path, name):
    run = copy_of(folder / "whole-run", tmp_path)
    assert train(recipe_of(folder / "base", **FREE[name]), run, resume=True)


def test_base_and_data_may_lie_elsewhere_and_bad_rows_be_skipped(folder, tmp_path):
    run = copy_of(folder / "whole-run", tmp_path)
    base = shutil.copytree(folder / "base", tmp_path / "moved-base")
    data = shutil.copytree(folder / "pages", tmp_path / "moved-pages")
    assert train(recipe_of(base, **pages(data, on_bad_row="skip")), run, resume=True)


def test_targets_may_be_named_in_another_way(folder, tmp_path):
    run = copy_of(folder / "whole-run", tmp_path)
    path = run / "checkpoint-12" / "colintern_run.json"
    manifest = json.loads(path.read_text())
    # PEFT saves a long list of names as the fewest suffixes that mean the same.
    names = recipe_of(folder / "base", **lora(target_modules=tuple(manifest["lora"]["matched"])))
    assert train(names, run, resume=True)
    fewer = lora(target_modules=tuple(manifest["lora"]["matched"][1:]))
    refused(recipe_of(folder / "base", **fewer), run, "the lora.target_modules it began with")


def test_a_checkpoint_whose_manifest_was_cut_off_is_of_its_run(folder, tmp_path):
    run = copy_of(folder / "whole-run", tmp_path)
    (run / "checkpoint-12" / "colintern_run.json").unlink()
    refused(recipe_of(folder / "base", seed=1), run, "the seed it began with, but that was 0")
    assert train(recipe_of(folder / "base"), run, resume=True)


def of_earlier_version(run, **arguments):
    path = run / "checkpoint-12" / "colintern_run.json"
    manifest = json.loads(path.read_text())
    manifest["arguments"] |= arguments
    del manifest["base"]["layers_sha256"], manifest["datasets"][0]["rows_sha256"]
    path.write_text(json.dumps(manifest))


def test_a_run_of_an_earlier_version_goes_on_in_another_place(folder, tmp_path):
    run = copy_of(folder / "whole-run", tmp_path)
    of_earlier_version(run, lr_scheduler_kwargs={}, optim_args="")
    base = shutil.copytree(folder / "base", tmp_path / "elsewhere" / "base")
    data = shutil.copytree(folder / "pages", tmp_path / "elsewhere" / "pages")
    assert train(recipe_of(base, **pages(data)), run, resume=True)


def test_a_run_of_an_earlier_version_keeps_base_and_data(folder, tmp_path):
    run, base = copy_of(folder / "whole-run", tmp_path), folder / "base"
    of_earlier_version(run)
    data = shutil.copytree(folder / "pages", tmp_path / "others")
    refused(recipe_of(base, **pages(data)), run, "the dataset .* was pages and is others")
    other_base = shutil.copytree(base, tmp_path / "other")
    refused(recipe_of(other_base, **pages(folder / "pages")), run, "the base it began with")


def test_a_run_without_a_decay_may_become_longer(folder, tmp_path):
    run = copy_of(folder / "whole-run", tmp_path)
    path = run / "checkpoint-12" / "colintern_run.json"
    manifest = json.loads(path.read_text())
    manifest["arguments"]["lr_scheduler_type"] = "constant_with_warmup"
    path.write_text(json.dumps(manifest))
    constant = other(lr_scheduler_type="constant_with_warmup")
    longer = recipe_of(folder / "base", num_train_epochs=3, **constant)
    assert train(longer, run, resume=True)
    assert json.loads((run / "trainer_state.json").read_text())["global_step"] == 18


def test_a_run_without_checkpoints_has_nothing_to_go_on_from(tmp_path):
    assert newest_whole_checkpoint(tmp_path / "nowhere") is None
    (tmp_path / "checkpoint-x").mkdir()
    assert newest_whole_checkpoint(tmp_path) is None


@pytest.mark.parametrize(
    ("limit", "best", "left"),
    [
        (1, None, [40]),
        (2, None, [30, 40]),
        (1, 10, [10, 40]),
        (2, 20, [20, 40]),
        (None, None, [10, 20, 30, 40]),
    ],
)
def test_rotation_keeps_the_newest_and_the_best(tmp_path, limit, best, left):
    for step in (10, 20, 30, 40):
        (tmp_path / f"checkpoint-{step}").mkdir()
    rotate(tmp_path, limit, None if best is None else str(tmp_path / f"checkpoint-{best}"))
    assert [int(path.name.split("-")[1]) for path in numbered_checkpoints(tmp_path)] == left


def test_a_full_disk_while_saving_leaves_no_half_checkpoint(folder, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("transformers.Trainer._save_optimizer_and_scheduler", full)
    with pytest.raises(OSError, match="No space left"):
        train(recipe_of(folder / "base"), tmp_path / "run")
    assert numbered_checkpoints(tmp_path / "run") == []
    assert not (tmp_path / "run" / STAGING).exists()
    assert status(tmp_path / "run") == "interrupted"


@pytest.mark.parametrize("name", ["loss", "grad_norm"])
def test_nan_stops_the_run_and_says_where_to_look(folder, tmp_path, monkeypatch, name):
    nan = torch.tensor(float("nan"))
    if name == "loss":
        monkeypatch.setattr("colpali_engine.loss.ColbertLoss.forward", lambda *_, **__: nan)
        monkeypatch.setattr("accelerate.Accelerator.backward", lambda *_, **__: None)
    else:
        monkeypatch.setattr("transformers.Trainer._clip_grad_norm", lambda *_: nan)
    with pytest.raises(
        NotFiniteError, match=rf"{name} must be a finite number.* step 1.*sources N04"
    ):
        train(recipe_of(folder / "base"), tmp_path / "run")
    assert not (tmp_path / "run" / "adapter_model.safetensors").exists()
    assert "NaN" in (tmp_path / "run" / "trainer_state.json").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"per_device_train_batch_size": 1}, "a batch must have at least 2 rows"),
        ({"per_device_train_batch_size": 64}, "a batch of 64 needs as many rows"),
        (
            {"warmup_steps": 12},
            "the warm-up must be shorter than the run, but it has 12 steps of 12",
        ),
        (
            {"arguments": {"per_device_eval_batch_size": 8, "use_cpu": True}},
            "evaluation needs a batch of 8 rows, but has 4",
        ),
    ],
)
def test_a_run_that_would_be_wasted_does_not_begin(folder, tmp_path, changes, message):
    with pytest.raises(PreflightError, match=message):
        train(recipe_of(folder / "base", **changes), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_output_folder_is_not_overwritten(folder, tmp_path):
    with pytest.raises(PreflightError, match=r"must be empty.*pass --resume"):
        train(recipe_of(folder / "base"), folder / "whole-run")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(PreflightError, match="must be empty, but it is not; choose another"):
        train(recipe_of(folder / "base"), tmp_path)
    with pytest.raises(PreflightError, match="cannot be written"):
        train(recipe_of(folder / "base"), tmp_path / "notes.txt" / "run")
