import json
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from builders.tiny_model import write_base  # noqa: E402 - after the skip
from builders.training_pairs import write_image_folder  # noqa: E402 - after the skip
from click.testing import CliRunner  # noqa: E402 - after the skip

from colintern.cli import main  # noqa: E402 - after the skip
from colintern.training.overrides import (  # noqa: E402 - after the skip
    OverrideError,
    parsed_arguments,
    recipe_named,
    with_arguments,
    with_settings,
)
from colintern.training.plan import base_config, outline, plan_of  # noqa: E402 - after the skip
from colintern.training.recipes import guide_1b, guide_as_written, tiny  # noqa: E402 - after the skip

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


def test_the_command_trains_a_cached_batch_and_records_it(base, tmp_path):
    result = invoke("--output-dir", tmp_path / "run", "--base", base, "--lr", "1e-3", *SHORT)
    assert result.exit_code == 0, result.output
    manifest = json.loads((tmp_path / "run" / "colintern_run.json").read_text())
    assert manifest["status"] == "completed"
    assert (manifest["candidates"], manifest["contrastive_batch_size"]) == (8, 8)
    assert manifest["arguments"]["learning_rate"] == 1e-3
    assert manifest["arguments"]["eval_strategy"] == "no"
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


def test_the_outline_is_that_of_the_full_model():
    model, coverage = outline(guide_1b())
    assert (len(coverage.matched), coverage.trainable_parameters) == (197, 20_221_952)
    assert not [name for name in coverage.matched if "vision" in name]
    plain = coverage.all_parameters - coverage.trainable_parameters
    assert plain == 905_315_328 + 1024 * 128 + 128
    assert all(parameter.is_meta for parameter in model.parameters())
    assert base_config("OpenGVLab/InternVL3_5-4B-HF").text_config.num_hidden_layers == 36


def test_the_guides_list_of_globs_reaches_one_module_of_197():
    recipe = guide_1b()
    recipe = with_settings(recipe, ["lora.tolerate_unmatched=true"])
    glob_list = guide_as_written().lora.target_modules
    plan = plan_of(replace(recipe, lora=replace(recipe.lora, target_modules=glob_list)))
    assert plan.modules == {"custom_text_proj": 1}
    assert plan.coverage.trainable_parameters == 36_864


def test_both_spellings_of_a_flag_are_one():
    hyphens = parsed_arguments(["--num-train-epochs", "1", "--eval-strategy", "no", "--bf16"])
    underscores = parsed_arguments(["--num_train_epochs=1", "--eval_strategy", "no", "--bf16"])
    assert hyphens == underscores == {"num_train_epochs": 1.0, "eval_strategy": "no", "bf16": True}
    recipe = with_arguments(guide_1b(), hyphens)
    assert (recipe.num_train_epochs, recipe.eval_steps) == (1.0, None)
    assert recipe.arguments["bf16"] is True
    assert recipe.arguments["dataloader_num_workers"] == 4


def test_the_guides_poor_settings_are_taken_as_given():
    flags = "--num_train_epochs 1 --per_device_train_batch_size 2 --eval_strategy no"
    workers = "--dataloader_num_workers 0"
    result = invoke("--output-dir", "unused", "--dry-run", *flags.split(), *workers.split())
    assert result.exit_code == 0, result.output
    assert "2 a device x 4 accumulated" in result.output
    assert "1 in-batch pages a query" in result.output


def test_settings_reach_inside_and_keep_their_types():
    recipe = with_settings(
        tiny(), ["lora.rank=8", "temperature=0.1", "eval_steps=none", "data.source=./pages"]
    )
    assert (recipe.lora.rank, recipe.temperature, recipe.eval_steps) == (8, 0.1, None)
    assert recipe.data.source == "./pages"


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
        (("--chunk-size", "0"), "--chunk-size must be at least 1"),
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


def test_an_unknown_recipe_is_an_error_of_its_own():
    with pytest.raises(OverrideError, match="did you mean tiny"):
        recipe_named("tinny")


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
