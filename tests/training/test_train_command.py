import json
import re
import resource
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from builders.tiny_model import write_base  # noqa: E402 - after the skip
from builders.training_pairs import write_image_folder  # noqa: E402 - after the skip
from click.testing import CliRunner  # noqa: E402 - after the skip

from colintern.cli import main  # noqa: E402 - after the skip
from colintern.pages.world import retrieval_task  # noqa: E402 - after the skip
from colintern.planning.architecture import find_architecture  # noqa: E402 - after the skip
from colintern.planning.duration import durations  # noqa: E402 - after the skip
from colintern.planning.hyperparameters import propose  # noqa: E402 - after the skip
from colintern.planning.memory import GIBIBYTE  # noqa: E402 - after the skip
from colintern.recipes.named import (  # noqa: E402 - after the skip
    guide_1b,
    guide_4b,
    guide_as_written,
    tiny,
)
from colintern.recipes.overrides import with_settings  # noqa: E402 - after the skip
from colintern.training.estimates import (  # noqa: E402 - after the skip
    check_memory,
    step_memory,
    time_text,
)
from colintern.training.plan import base_config, outline, plan_of  # noqa: E402 - after the skip
from colintern.training.preflight import PreflightError  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]


def invoke(*options):
    return CliRunner().invoke(main, ["train", *map(str, options)])


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("command") / "base")


SHORT = (
    *("--recipe", "tiny", "--contrastive-batch-size", "8", "--chunk-size", "2"),
    *("--num_train_epochs", "1", "--eval-strategy", "no", "--use_cpu", "--disable-tqdm", "true"),
    *("--set", "train_pairs=16", "--warmup_steps", "1", "--logging-steps=1", "--save_steps", "2"),
)


RECORDS = {
    *("colintern_run.json", "colintern_resources.jsonl"),
    *("colintern_live.json", "colintern_log.jsonl"),
}
"""What a run writes about itself while it trains."""


def test_the_command_trains_a_cached_batch_and_records_it(base, tmp_path):
    result = invoke("--output-dir", tmp_path / "run", "--base", base, "--lr", "1e-3", *SHORT)
    assert result.exit_code == 0, result.output
    manifest = json.loads((tmp_path / "run" / "colintern_run.json").read_text())
    assert manifest["status"] == "completed"
    assert (manifest["candidates"], manifest["contrastive_batch_size"]) == (8, 8)
    assert manifest["arguments"]["learning_rate"] == 1e-3
    assert manifest["arguments"]["eval_strategy"] == "no"
    (dataset,) = manifest["datasets"]
    assert (dataset["name"], dataset["split"], dataset["rows"]) == ("colintern/pages", "train", 16)
    assert dataset["revision"] == retrieval_task().revision
    state = json.loads((tmp_path / "run" / "trainer_state.json").read_text())
    assert state["global_step"] == 2
    assert (tmp_path / "run" / "adapter_model.safetensors").exists()


def test_hard_negatives_of_a_folder_of_images_train_in_a_cached_batch(base, tmp_path):
    folder = write_image_folder(tmp_path / "pages", 20, negatives=2)
    options = ("--dataset", folder, "--negatives-column", "others", "--num-negatives", "3")
    evaluated = ("--eval-rows", "4", "--eval-strategy", "steps", "--eval-steps", "2")
    more = ("--per-device-eval-batch-size", "4", "--base", base, "--output-dir", tmp_path / "run")
    short = [each for each in SHORT if each not in ("--eval-strategy", "no")]
    result = invoke(*short, *options, *evaluated, *more)
    assert result.exit_code == 0, result.output
    manifest = json.loads((tmp_path / "run" / "colintern_run.json").read_text())
    assert manifest["loss"]["class"] == "ColbertNegativeCELoss"
    assert [(each["name"], each["rows"]) for each in manifest["datasets"]] == [("pages", 16)]
    rows = json.loads((tmp_path / "run" / "trainer_state.json").read_text())["log_history"]
    assert [row["step"] for row in rows if "eval_loss" in row] == [2]
    assert "16 pairs" in (tmp_path / "run" / "README.md").read_text()


def test_the_guides_plan_has_the_numbers_of_the_guide():
    result = invoke("--output-dir", "unused", "--dry-run")
    assert result.exit_code == 0, result.output
    for text in ("197 modules (196 in language_model", "20,221,952 of", "9,235 optimiser steps"):
        assert text in result.output
    assert "64 queries an optimiser step" in result.output
    assert "15 in-batch pages a query (accumulation adds none)" in result.output
    assert "28-37 h on RTX 5090, 19-23 h on A100 40GB" in result.output
    assert re.search(r"memory +about \d+\.\d GiB a GPU", result.output)


@pytest.mark.parametrize(
    ("recipe", "modules", "rank", "trained", "rate"),
    [
        ("guide_2b", "197 modules (196 in language_model", 32, "34,934,784", "3e-05"),
        ("guide_4b", "253 modules (252 in language_model", 64, "132,292,608", "1e-05"),
    ],
)
def test_the_plan_of_a_larger_model_has_its_own_numbers(recipe, modules, rank, trained, rate):
    result = invoke("--recipe", recipe, "--output-dir", "unused", "--dry-run")
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert f"LoRA {modules}, 1 in custom_text_proj), rank {rank}" in shown
    assert f"trained {trained} of" in shown
    assert f"learning rate {rate}," in shown
    assert "9,235 optimiser steps" in shown
    assert re.search(r"memory about \d+\.\d GiB a GPU", shown)


def test_a_resume_takes_the_recipe_of_its_run(tmp_path):
    manifest = {"schema": "colintern.run/1", "recipe": "tiny"}
    (tmp_path / "colintern_run.json").write_text(json.dumps(manifest))
    result = invoke("--output-dir", str(tmp_path), "--dry-run", "--resume")
    assert re.search(r"^recipe +tiny ", result.output, re.MULTILINE)
    result = invoke("--output-dir", str(tmp_path), "--dry-run")
    assert re.search(r"^recipe +guide_1b ", result.output, re.MULTILINE)


def test_the_time_of_a_tiny_base_is_not_scaled_from_the_guide(base):
    result = invoke("--recipe", "tiny", "--base", base, "--output-dir", "unused", "--dry-run")
    assert result.exit_code == 0, result.output
    (told,) = [line for line in result.output.splitlines() if line.startswith("time")]
    assert "not known: the guide's hours are of a base of 0.9 B parameters" in told
    assert "RTX" not in told


def test_the_outline_is_that_of_the_full_model():
    model, coverage = outline(guide_1b())
    assert (len(coverage.matched), coverage.trainable_parameters) == (197, 20_221_952)
    assert not [name for name in coverage.matched if "vision" in name]
    plain = coverage.all_parameters - coverage.trainable_parameters
    assert plain == 905_315_328 + 1024 * 128 + 128
    assert all(parameter.is_meta for parameter in model.parameters())
    assert base_config("OpenGVLab/InternVL3_5-4B-HF").text_config.num_hidden_layers == 36


def test_memory_and_time_follow_the_batch_and_the_model():
    plain = replace(guide_1b(), per_device_train_batch_size=64)
    cached = replace(plain, chunk_size=4)
    assert step_memory(cached).total < step_memory(plain).total / 2
    assert step_memory(replace(plain, base="nobody/unknown")) is None
    assert "about 4 min on one core" in time_text(tiny(), 51_200, 1)
    assert "14-19 h on RTX 5090" in time_text(guide_1b(), 118_195 * 5, 2)
    assert time_text(replace(plain, base="nobody/unknown"), 9, 1) == "not known for this base"


@pytest.mark.parametrize(("size", "recipe"), [("1B", guide_1b()), ("4B", guide_4b())])
def test_time_is_that_of_the_plan(size, recipe):
    proposal = propose(find_architecture(size), 80 * GIBIBYTE, recipe.train_pairs)
    arguments = {"gradient_checkpointing": proposal.checkpointing}
    pairs = proposal.pairs * proposal.epochs
    for chunk_size in (None, 4):
        text = time_text(replace(recipe, arguments=arguments, chunk_size=chunk_size), pairs, 1)
        for each in durations(proposal, cached=chunk_size is not None):
            assert f"{each.shortest:.0f}-{each.longest:.0f} h on {each.gpu}" in text


@pytest.mark.parametrize(
    ("gibibytes", "message"),
    [
        (24, None),
        (6, r"set --per-device-train-batch-size \d+, or keep the batch"),
        (2, "chunk-size 1"),
    ],
)
def test_a_step_that_cannot_fit_is_one_error(gibibytes, message):
    if message is None:
        check_memory(guide_1b(), gibibytes * GIBIBYTE)
        return
    with pytest.raises(PreflightError, match=message):
        check_memory(guide_1b(), gibibytes * GIBIBYTE)


def test_the_guides_list_of_globs_reaches_one_module_of_197():
    recipe = guide_1b()
    recipe = with_settings(recipe, ["lora.tolerate_unmatched=true"])
    glob_list = guide_as_written().lora.target_modules
    plan = plan_of(replace(recipe, lora=replace(recipe.lora, target_modules=glob_list)))
    assert plan.modules == {"custom_text_proj": 1}
    assert plan.coverage.trainable_parameters == 36_864


def test_own_flags_have_both_spellings_too():
    flags = "--recipe tiny --contrastive_batch_size 16 --chunk_size 4 --dry_run"
    result = invoke("--output_dir", "unused", *flags.split())
    assert result.exit_code == 0, result.output
    assert "cached batch, 4 pages in memory at a time" in result.output
    assert "16 a device" in result.output


@pytest.mark.parametrize(
    ("flag", "told"),
    [("--chunk-siz", "did you mean --chunk-size"), ("--qqqq", "--help says which there are")],
)
def test_an_unknown_flag_is_answered_briefly(flag, told):
    result = invoke("--output-dir", "unused", "--dry-run", flag, "4")
    assert result.exit_code == 2
    assert told in result.output
    assert len(result.output) < 400


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "colpali_train_set, 118,195 rows\n"),
        (("--dataset", "some/pages"), "some/pages, 118,195 rows assumed, the data is not read"),
        (("--dataset", "some/pages", "--set", "train_pairs=640"), "some/pages, 640 rows\n"),
        (("--warmup_steps", "0.1"), "924 of warm-up\n"),
        (("--max_steps", "100"), "100 of warm-up: as long as the run, which will not begin"),
    ],
)
def test_the_plan_says_what_it_assumes(options, told):
    result = invoke("--output-dir", "unused", "--dry-run", *options)
    assert result.exit_code == 0, result.output
    assert told in result.output


def test_the_guides_poor_settings_are_taken_as_given():
    flags = "--num_train_epochs 1 --per_device_train_batch_size 2 --eval_strategy no"
    workers = "--dataloader_num_workers 0"
    result = invoke("--output-dir", "unused", "--dry-run", *flags.split(), *workers.split())
    assert result.exit_code == 0, result.output
    assert "2 a device x 4 accumulated" in result.output
    assert "1 in-batch pages a query" in result.output


MISTAKES = {
    "unknown recipe": (
        ["--recipe", "guide_1B"],
        "no recipe is called 'guide_1B'; did you mean guide_1b",
    ),
    "unknown flag": (
        ["--learning-rat", "1"],
        "no flag is called '--learning-rat'; did you mean --learning",
    ),
    "value of a flag": (["--num_train_epochs", "many"], "invalid float value: 'many'"),
    "unknown setting": (
        ["--set", "lora.rnk=8"],
        "no setting is called 'lora.rnk'; did you mean lora.rank",
    ),
    "value of a setting": (["--set", "lora.rank=big"], "lora.rank=big is no value"),
    "no value": (["--set", "lora.rank"], "--set takes key=value"),
    "twice": (["--lr", "1e-4", "--learning_rate", "1e-5"], "learning_rate is given twice"),
    "no peft": (["--no-peft"], "only LoRA is trained"),
    "resume flag": (["--resume_from_checkpoint", "x"], "use --resume"),
    "needs a dataset": (["--recipe", "tiny", "--eval-rows", "5"], "--eval-rows needs --dataset"),
    "no target": (["--set", "lora.target_modules=nothing"], "these match none: nothing"),
    "no rate": (["--lr", "nan"], "learning_rate must be above 0, but it is nan"),
    "rate below zero": (["--lr", "-1"], "learning_rate must be above 0, but it is -1"),
    "no rank": (["--set", "lora.rank=0"], "lora.rank must be above 0, but it is 0"),
    "no temperature": (["--set", "temperature=0"], "temperature must be above 0"),
    "no pairs": (["--set", "train_pairs=0"], "train_pairs must be above 0"),
    "dropout of all": (["--set", "lora.dropout=1"], "lora.dropout must be below 1, but it is 1"),
    "decay below zero": (["--weight_decay", "-1"], "weight_decay must be 0 or more"),
    "no expression": (["--set", "lora.target_modules=("], "must be a regular expression, but '('"),
    "one row a batch": (
        ["--contrastive-batch-size", "1"],
        "a batch must have at least 2 rows, but it has 1",
    ),
    "unknown base": (["--base", "ORG/other"], "neither a folder here nor an InternVL3.5"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_clear_error(name):
    options, message = MISTAKES[name]
    result = invoke("--output-dir", "unused", "--dry-run", *options)
    assert result.exit_code == 2
    assert message in " ".join(result.output.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--dataset", "./nowhere"), "must be a Hub id, a folder or a parquet file"),
        (("--contrastive-batch-size", "1"), "a batch must have at least 2 rows"),
        (("--chunk-size", "0"), "chunk_size must be above 0"),
        (("--set", "max_num_visual_tokens=3"), "must pay for one tile of 16 visual tokens"),
        (("--gradient_accumulation_steps", "0"), "gradient_accumulation_steps must be above 0"),
    ],
)
def test_a_run_that_cannot_begin_leaves_nothing(base, tmp_path, options, message):
    result = invoke("--output-dir", tmp_path / "run", "--base", base, *SHORT, *options)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("absent", "message"),
    [
        ("config.json", "must have its configuration"),
        ("model.safetensors", "must have its weights"),
        ("processor_config.json", "must have its processor"),
        ("tokenizer_config.json", "must have its tokenizer"),
        (".", "must be a folder or a Hub id"),
    ],
)
def test_a_base_that_is_not_whole_is_one_clear_error(base, tmp_path, absent, message):
    broken = tmp_path / "base"
    if absent != ".":
        shutil.copytree(base, broken, ignore=shutil.ignore_patterns(absent))
    result = invoke("--output-dir", tmp_path / "run", *SHORT, "--base", broken)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())


def test_a_base_that_is_not_cached_is_one_clear_error(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    result = invoke("--output-dir", tmp_path / "run", *SHORT, "--base", "ORG/absent")
    assert result.exit_code == 1
    assert "--base names a folder, --download fetches" in " ".join(result.output.split())


def without_columns(folder):
    (folder / "queries.jsonl").write_text('{"question": "a", "image": "0.png"}\n')


def without_rows(folder):
    (folder / "queries.jsonl").write_text("")


def with_empty_queries(folder):
    (folder / "queries.jsonl").write_text('{"query": " ", "image": "0.png"}\n' * 9)


def with_one_page(folder):
    (folder / "queries.jsonl").write_text('{"query": "a", "image": "0.png"}\n' * 9)


def untouched(_):
    pass


DATA_MISTAKES = {
    "no such column": (without_columns, (), "must have a column 'query', but it has"),
    "no rows": (without_rows, (), "must have"),
    "no query": (with_empty_queries, (), "row 0: its query is empty"),
    "no query, skipped": (with_empty_queries, ("--on-bad-row", "skip"), "but it has none"),
    "one page": (with_one_page, (), "a batch of 8 needs as many rows with distinct pages"),
    "no such negatives": (untouched, ("--negatives-column", "hard"), "a column 'hard', but it has"),
    "all rows held out": (untouched, ("--eval-rows", "99"), "99 rows cannot be held out of 9"),
    "one row a batch": (untouched, ("--contrastive-batch-size", "1"), "at least 2 rows"),
}


@pytest.mark.parametrize("name", DATA_MISTAKES)
def test_data_that_cannot_be_trained_on_is_one_error(base, tmp_path, name):
    change, options, message = DATA_MISTAKES[name]
    folder = write_image_folder(tmp_path / "pages", 9)
    change(folder)
    where = ("--dataset", folder, "--base", base, "--output-dir", tmp_path / "run")
    result = invoke(*SHORT, *where, *options)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("file/run", "cannot be written; choose another --output-dir"),
        ("notes", "must be empty, but it is not; choose another --output-dir"),
        ("old", "must be empty, but it is not; pass --resume to go on with its run"),
    ],
)
def test_an_output_folder_that_cannot_be_used_is_one_error(base, tmp_path, place, message):
    (tmp_path / "file").touch()
    for folder, name in (("notes", "notes.txt"), ("old", "trainer_state.json")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).touch()
    before = sorted(tmp_path.rglob("*"))
    result = invoke(*SHORT, "--base", base, "--output-dir", tmp_path / place)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--bf16", "--fp16"), "do not fit together: At most one of fp16 and bf16"),
        (("--optim", "adamm"), "--optim: invalid choice: 'adamm'"),
    ],
)
def test_flags_that_contradict_are_one_error(base, tmp_path, flags, message):
    result = invoke(*SHORT, "--base", base, "--output-dir", tmp_path / "run", *flags)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert not (tmp_path / "run").exists()


@contextmanager
def largest_file(num_bytes):
    """No file can grow beyond `num_bytes`: the kernel refuses the write, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize(
    ("num_bytes", "what"),
    [
        (100_000, "checkpoint-2 could not be written"),  # less than the adapter
        (500_000, "checkpoint-2 could not be written"),  # less than the optimizer's state
    ],
)
def test_a_full_disk_leaves_nothing_half_written(base, tmp_path, num_bytes, what):
    options = ("--base", base, "--output-dir", tmp_path / "run")
    with largest_file(num_bytes):
        result = invoke(*SHORT, *options)
    assert result.exit_code == 1, result.output
    shown = " ".join(result.output.split())
    assert what in shown
    assert f"go on with --resume --output-dir {tmp_path / 'run'}" in shown
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left <= RECORDS
    assert (
        json.loads((tmp_path / "run" / "colintern_run.json").read_text())["status"] != "completed"
    )
    again = invoke(*SHORT, *options, "--resume")
    assert again.exit_code == 0, again.output
    assert (tmp_path / "run" / "adapter_model.safetensors").exists()


def test_a_disk_that_is_full_at_the_end_keeps_the_checkpoint(base, tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    options = ("--base", base, "--output-dir", tmp_path / "run")
    with monkeypatch.context() as patch:
        patch.setattr("colintern.training.final_model.model_card", full)
        result = invoke(*SHORT, *options)
    assert result.exit_code == 1
    left = {path.name for path in (tmp_path / "run").iterdir()}
    assert left <= {"checkpoint-2", *RECORDS}
    again = invoke(*SHORT, *options, "--resume")
    assert again.exit_code == 0, again.output
    assert (
        json.loads((tmp_path / "run" / "colintern_run.json").read_text())["status"] == "completed"
    )


def test_help_is_quick_and_has_examples():
    code = (
        "import sys; from click.testing import CliRunner; from colintern.cli import main;"
        "print(CliRunner().invoke(main, ['train', '--help']).output);"
        "sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "Examples:" in done.stdout
    assert "--contrastive-batch-size 64 --chunk-size 4" in done.stdout
