import json
from dataclasses import FrozenInstanceError, replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from builders.tiny_model import write_base  # noqa: E402 - after the skip
from transformers import TrainerCallback  # noqa: E402 - after the skip

from colintern.artifacts.files import Enclosure  # noqa: E402 - after the skip
from colintern.artifacts.run.layout import Folder, read_run_layout  # noqa: E402 - after the skip
from colintern.artifacts.run.manifest import read_run_manifest  # noqa: E402 - after the skip
from colintern.artifacts.tensors.weights_hash import weights_sha256  # noqa: E402 - after the skip
from colintern.evaluation.pages import embed  # noqa: E402 - after the skip
from colintern.model.loading import load_checkpoint  # noqa: E402 - after the skip
from colintern.recipes.named import tiny  # noqa: E402 - after the skip
from colintern.training.audit_callback import AuditCallback  # noqa: E402 - after the skip
from colintern.training.callbacks import TrainingProgress  # noqa: E402 - after the skip
from colintern.training.manifest import ManifestWriter  # noqa: E402 - after the skip
from colintern.training.run import prepare, train  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]


def short(recipe, base):
    return replace(
        recipe,
        base=str(base),
        per_device_train_batch_size=4,
        num_train_epochs=1,
        train_pairs=12,
        eval_pairs=4,
        eval_steps=2,
        save_steps=2,
        warmup_steps=1,
        logging_steps=1,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("training")
    train(short(tiny(), write_base(folder / "base")), folder / "run")
    return folder / "run"


def test_run_leaves_its_evidence(run):
    names = {path.name for path in run.iterdir()}
    assert names >= {
        "adapter_config.json",
        "adapter_model.safetensors",
        "colintern_run.json",
        "trainer_state.json",
        "training_args.bin",
        "processor_config.json",
        "tokenizer.json",
        "README.md",
        "checkpoint-2",
        "checkpoint-3",
    }
    assert not [name for name in names if name.endswith(".partial")]
    assert json.loads((run / "trainer_state.json").read_text())["global_step"] == 3


def test_manifest_tells_the_run(run):
    manifest = read_run_manifest(run / "colintern_run.json", None)
    assert (manifest.status, manifest.family, manifest.recipe) == (
        "completed",
        "ColIntern-tiny",
        "tiny",
    )
    assert (manifest.effective_batch_size, manifest.candidates) == (4, 4)
    assert len(manifest.lora.matched) == 14
    assert manifest.arguments["num_train_epochs"] == 1
    assert manifest.processor.padding_side == "left"
    assert manifest.processor.golden.page_token_count == 19
    assert manifest.weights_sha256 == weights_sha256(Folder.read(run), Enclosure.around(run))


def test_checkpoint_is_told_from_others(run):
    manifest = read_run_manifest(run / "checkpoint-2" / "colintern_run.json", None)
    assert manifest.status == "started"
    folder = run / "checkpoint-2"
    assert manifest.weights_sha256 == weights_sha256(Folder.read(folder), Enclosure.around(folder))


def test_manifest_is_there_before_the_first_step(run, tmp_path):
    manifest = read_run_manifest(run / "colintern_run.json", None)
    ManifestWriter(tmp_path, manifest).on_train_begin()
    assert read_run_manifest(tmp_path / "colintern_run.json", None) == manifest


def test_run_embeds(run):
    loaded = load_checkpoint(run)
    vectors = embed(loaded.model, loaded.processor.process_queries, ["the memo from oslo"])
    assert vectors[0].shape == (4, 128)
    assert read_run_layout(run).kind == "run"


def test_a_run_is_whole_before_its_first_step(tmp_path):
    recipe = short(tiny(), write_base(tmp_path / "base"))
    audit, asked = AuditCallback(), TrainerCallback()
    folder = tmp_path / "run"
    run = prepare(recipe, folder, resume=False, callbacks=[asked], audit=audit)
    assert list(folder.iterdir()) == []
    assert audit.folder == run.writer.folder == folder
    assert [each.rows for each in run.writer.manifest.datasets] == [len(run.data.train)]
    told = run.trainer.callback_handler.callbacks
    ours = [each for each in told if each in (run.writer, audit, run.termination, asked)]
    assert ours == [run.writer, audit, run.termination, asked]
    assert isinstance(told[-1], TrainingProgress)
    with pytest.raises(FrozenInstanceError):
        run.checkpoint = folder
    assert run.train()
    assert {each.rule for each in audit.findings} >= {"CFG001", "CFG002"}
