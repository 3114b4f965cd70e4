import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

SCRIPT = Path(__file__).parents[1] / "support" / "distributed_step.py"


def launch(folder, *launcher):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, *launcher, str(SCRIPT), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps")
    launch(folder)
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    launch(folder, *torchrun)
    names = ("world-1-rank-0", "world-2-rank-0", "world-2-rank-1")
    return [torch.load(folder / f"{name}.pt") for name in names]


@pytest.mark.parametrize("mode", ["plain", "cached"])
def test_two_processes_have_the_loss_of_one(found, mode):
    alone, *ranks = (each[mode] for each in found)
    assert len(alone["losses"]) == 1
    # Only the first process logs.
    assert ranks[0]["losses"] == pytest.approx(alone["losses"], rel=1e-5)
    assert ranks[0]["evaluation"] == pytest.approx(alone["evaluation"], rel=1e-5)


@pytest.mark.parametrize("mode", ["plain", "cached"])
def test_two_processes_have_the_gradient_of_one(found, mode):
    alone, *ranks = (each[mode]["gradients"] for each in found)
    scale = max(gradient.abs().max() for gradient in alone.values())
    assert scale > 1e-3
    for rank in ranks:
        names = {name.removeprefix("module."): name for name in rank}
        assert names.keys() == alone.keys()
        worst = max((rank[names[name]] - alone[name]).abs().max() for name in alone)
        assert worst <= 5e-6 * scale


def test_cached_is_plain_in_every_world(found):
    for each in found:
        plain, cached = (each[mode]["gradients"] for mode in ("plain", "cached"))
        scale = max(gradient.abs().max() for gradient in plain.values())
        worst = max((cached[name] - plain[name]).abs().max() for name in plain)
        assert worst <= 5e-6 * scale


LAUNCHERS = {
    "torchrun": ("torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    # --multi_gpu means several processes; --use_cpu below keeps them on the CPU, with gloo.
    "accelerate": (
        *("accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"),
        *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no"),
    ),
}
SHORT = (
    *("--recipe", "tiny", "--contrastive-batch-size", "4", "--num_train_epochs", "1", "--use_cpu"),
    *("--disable-tqdm", "true", "--set", "train_pairs=32", "--set", "eval_pairs=8"),
    *("--eval-steps", "2", "--warmup_steps", "1", "--logging-steps=1", "--save_steps", "2"),
)


@pytest.mark.acceptance
def test_torchrun_and_accelerate_launch_train_the_same(tmp_path):
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    for name, launcher in LAUNCHERS.items():
        command = [sys.executable, "-m", *launcher, "-m", "colintern", "train", *SHORT]
        command += ["--output-dir", str(tmp_path / name)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        assert done.stdout.count(": trained;") == 1
        manifest = json.loads((tmp_path / name / "colintern_run.json").read_text())
        assert (manifest["status"], manifest["world_size"]) == ("completed", 2)
        assert (manifest["candidates"], manifest["effective_batch_size"]) == (8, 8)
        assert (tmp_path / name / "checkpoint-4" / "optimizer.pt").exists()
    weights = [(tmp_path / name / "adapter_model.safetensors").read_bytes() for name in LAUNCHERS]
    assert weights[0] == weights[1]


@pytest.mark.acceptance
def test_a_finding_before_the_first_step_ends_both_processes(tmp_path):
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-m", *LAUNCHERS["torchrun"], "-m", "colintern", "train", *SHORT]
    command += ["--output-dir", str(tmp_path / "run"), "--stop-on", "error"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr.count("CFG001 ended the run before its first step") == 1
    assert [number for number in (0, 1) if f"exitcode: 3) local_rank: {number}" in done.stderr]
    assert list((tmp_path / "run").glob("checkpoint-*")) == []
