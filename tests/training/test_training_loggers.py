import time

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from builders.tiny_model import write_base  # noqa: E402 - after the skip
from click.testing import CliRunner  # noqa: E402 - after the skip

from colintern.cli import main  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
    pytest.mark.filterwarnings("ignore:Scores out of bounds:UserWarning"),
]

SHORT = (
    *("--recipe", "tiny", "--contrastive-batch-size", "4", "--num_train_epochs", "1"),
    *("--eval-strategy", "no", "--use_cpu", "--disable-tqdm", "true", "--save-strategy", "no"),
    *("--set", "train_pairs=16", "--warmup_steps", "1", "--logging-steps=1"),
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("loggers") / "base")


def train(base, folder, *options):
    where = ("--base", str(base), "--output-dir", str(folder))
    return CliRunner().invoke(main, ["train", *SHORT, *where, *options])


def test_tensorboard_gets_the_loss_of_every_row(base, tmp_path, monkeypatch):
    pytest.importorskip("tensorboard")
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    result = train(base, tmp_path / "run", "--report-to", "tensorboard")
    assert result.exit_code == 0, result.output
    events = accumulators.EventAccumulator(str(tmp_path / "board")).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4]


def test_weights_and_biases_writes_a_run_offline(base, tmp_path, monkeypatch):
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(tmp_path))
    monkeypatch.setenv("WANDB_SILENT", "true")
    result = train(base, tmp_path / "run", "--report-to", "wandb")
    assert result.exit_code == 0, result.output
    wandb.finish()  # else at the end of the process
    (log,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    until = time.monotonic() + 30  # a process of its own writes the file, when it comes to it
    while b"train/loss" not in (written := log.read_bytes()) and time.monotonic() < until:
        time.sleep(0.1)
    assert b"train/loss" in written


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tensorbord", "not tensorbord; did you mean tensorboard"),
        ("wandb", "--report-to wandb needs its package, which is not installed; pip install wandb"),
    ],
)
def test_a_logger_that_is_not_there_is_one_error(base, tmp_path, monkeypatch, name, message):
    installed = "colintern.training.preflight.get_available_reporting_integrations"
    monkeypatch.setattr(installed, list)
    result = train(base, tmp_path / "run", "--report-to", name)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())
    assert not (tmp_path / "run").exists()
