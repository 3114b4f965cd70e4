import json
import os
import signal
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
optuna = pytest.importorskip("optuna")
pytest.importorskip("colpali_engine")

from builders.tiny_model import random_model, write_base  # noqa: E402 - after the skip
from builders.training_pairs import write_image_folder  # noqa: E402 - after the skip
from click.testing import CliRunner  # noqa: E402 - after the skip
from optuna.trial import TrialState, create_trial  # noqa: E402 - after the skip
from transformers import TrainingArguments  # noqa: E402 - after the skip

from colintern.cli import main  # noqa: E402 - after the skip
from colintern.evaluation.pages import embed  # noqa: E402 - after the skip
from colintern.evaluation.ranking import ranking_metrics  # noqa: E402 - after the skip
from colintern.pages.train_base import tiny_processor  # noqa: E402 - after the skip
from colintern.pages.world import held_out_pairs  # noqa: E402 - after the skip
from colintern.recipes.params import BATCH  # noqa: E402 - after the skip
from colintern.recipes.recipe import DataSettings  # noqa: E402 - after the skip
from colintern.search.held_out import HeldOutRetrieval  # noqa: E402 - after the skip
from colintern.search.places import places_of  # noqa: E402 - after the skip
from colintern.search.storage import open_storage  # noqa: E402 - after the skip
from colintern.search.trial import TrialGoneError, outcome_of  # noqa: E402 - after the skip
from colintern.training.data import load_data, pair_dataset  # noqa: E402 - after the skip
from colintern.training.faults import NotFiniteError  # noqa: E402 - after the skip
from colintern.training.preflight import DoesNotFitError  # noqa: E402 - after the skip
from colintern.training.resources import ResourceLogger  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]

SHORT = (
    *("--recipe", "tiny", "--set", "train_pairs=32", "--set", "eval_pairs=16"),
    *("--num_train_epochs", "1", "--contrastive-batch-size", "8", "--warmup_steps", "0.2"),
    *("--use_cpu", "--disable-tqdm", "true", "--logging_steps", "1", "--evaluations", "2"),
)


def invoke(*options):
    return CliRunner().invoke(main, ["search", *map(str, options)])


def trials_of(folder):
    study = optuna.load_study(study_name="colintern", storage=open_storage(None, folder))
    return study.get_trials()


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return write_base(tmp_path_factory.mktemp("search") / "base")


@pytest.fixture(scope="module")
def searched(base, tmp_path_factory):
    """Three trials: the recipe's own rate, one that diverges, and another."""
    folder = tmp_path_factory.mktemp("searched")
    (folder / "space.toml").write_text(
        "[learning_rate]\nchoices = [2e-3, 1e30]\n[lora.rank]\nchoices = [4, 16]\n"
    )
    result = invoke(
        *("--trials", 3, "--space", folder / "space.toml", "--output-dir", folder / "runs"),
        *("--base", base, "--sampler-seed", 1, *SHORT),
    )
    return folder / "runs", result


def test_three_trials_are_trained_and_reported(searched):
    folder, result = searched
    assert result.exit_code == 0, result.output
    found = places_of(trials_of(folder))
    assert len(found) == 3
    diverged = [place.trial for place in found if place.trial.params["learning_rate"] == 1e30]
    sound = [place.trial for place in found if place.trial.params["learning_rate"] != 1e30]
    assert diverged
    assert sound
    assert {each.state for each in diverged} == {TrialState.FAIL}
    assert {each.state for each in sound} == {TrialState.COMPLETE}
    assert "must be finite" in diverged[0].user_attrs["failure"]
    assert all(len(each.intermediate_values) == 2 for each in sound)
    best = json.loads((folder / "optuna_best_params.json").read_text())
    top = max(sound, key=lambda each: each.value)
    assert (best["value"], best["recipe"], best["study"]) == (top.value, "tiny", "colintern")
    assert best["params"] == trials_of(folder)[best["trial"]].params
    shown = " ".join(result.output.split())
    assert f"Best: trial {best['trial']}, NDCG@5" in shown
    assert f"run {best['run']}" in shown
    assert f"{len(sound)} completed, {len(diverged)} failed" in shown


def test_the_value_of_a_trial_is_in_the_log_of_its_run(searched):
    folder, _ = searched
    best = json.loads((folder / "optuna_best_params.json").read_text())
    state = json.loads((folder / f"trial-{best['trial']:04d}" / "trainer_state.json").read_text())
    logged = [row["eval_ndcg_at_5"] for row in state["log_history"] if "eval_ndcg_at_5" in row]
    assert logged[-1] == best["value"]
    assert len(logged) == 2
    manifest = json.loads((folder / "trial-0000" / "colintern_run.json").read_text())
    assert manifest["status"] == "completed"


def test_the_run_of_a_trial_can_be_audited(searched):
    folder, _ = searched
    command = [sys.executable, "-m", "colintern", "audit", folder / "trial-0000"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr
    assert " 0 error," in done.stdout
    assert "checks judged" in done.stdout


def test_the_winner_can_be_trained(searched, tmp_path):
    folder, _ = searched
    params = folder / "optuna_best_params.json"
    best = json.loads(params.read_text())
    options = ("--params", str(params), "--output-dir", str(tmp_path / "run"), "--dry-run")
    result = CliRunner().invoke(main, ["train", *options])
    assert result.exit_code == 0, result.output
    shown = " ".join(result.output.split())
    assert "recipe tiny" in shown.lower()
    assert f"rank {best['params']['lora.rank']}" in shown


def test_the_page_loads_nothing_and_names_every_trial(searched):
    page = (searched[0] / "search.html").read_text()
    for text in ("trial-0000", "learning_rate", "lora.rank", "failed", "<svg"):
        assert text in page
    for absent in ("<script", "http://", "https://", "src="):
        assert absent not in page.replace('xmlns="http://www.w3.org/2000/svg"', "")


def test_a_poor_trial_is_pruned_and_leaves_a_checkpoint(base, tmp_path):
    folder = tmp_path / "runs"
    options = ("--output-dir", folder, "--base", base, "--space", tmp_path / "space.json", *SHORT)
    (tmp_path / "space.json").write_text('{"lora.rank": {"choices": [4, 16]}}')
    assert invoke("--trials", 0, *options).exit_code == 0
    study = optuna.load_study(study_name="colintern", storage=open_storage(None, folder))
    for _ in range(4):
        study.add_trial(
            create_trial(
                params={"lora.rank": 4},
                distributions={"lora.rank": optuna.distributions.CategoricalDistribution((4, 16))},
                value=1.0,
                intermediate_values={1: 1.0, 2: 1.0},
            )
        )
    result = invoke("--trials", 5, *options)
    assert result.exit_code == 0, result.output
    pruned = trials_of(folder)[0]
    assert (pruned.state, list(pruned.intermediate_values)) == (TrialState.PRUNED, [1])
    manifest = json.loads((folder / "trial-0000" / "colintern_run.json").read_text())
    assert manifest["status"] == "interrupted"
    assert (folder / "trial-0000" / "checkpoint-2" / "adapter_model.safetensors").is_file()
    assert "below the median" in result.output


def test_held_out_retrieval_is_that_of_the_benchmark():
    model, processor = random_model(), tiny_processor()
    pairs = held_out_pairs(20)
    measure = HeldOutRetrieval(
        pair_dataset(pairs), processor, TrainingArguments("unused", per_device_eval_batch_size=8)
    )
    rows = pair_dataset(pairs)
    pages = embed(model, processor.process_images, [rows[i]["pos_target"][0] for i in range(20)])
    queries = embed(model, processor.process_queries, [pair.query for pair in pairs])
    scores = processor.score(queries, pages, device="cpu").numpy()
    expected = ranking_metrics(scores, [frozenset({index}) for index in range(20)])["ndcg_at_5"]
    assert 0 < expected < 1
    model.train()
    assert measure.ndcg_at_5(model) == pytest.approx(expected, abs=1e-4)
    assert model.training


def test_a_page_of_several_rows_is_one_page(tmp_path):
    folder = write_image_folder(tmp_path / "pages", 12)
    lines = (folder / "queries.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    rows += [{**row, "query": f"again {row['query']}"} for row in rows[:4]]
    (folder / "queries.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    data = load_data(DataSettings(source=str(folder), eval_rows=12)).evaluation
    measure = HeldOutRetrieval(data, tiny_processor(), TrainingArguments("unused"))
    assert len(measure._first_row) == len(set(data.page_keys)) < len(data)
    assert 0 <= measure.ndcg_at_5(random_model()) <= 1


def test_a_model_that_is_not_a_number_is_no_result():
    model = random_model()
    with torch.no_grad():
        model.custom_text_proj.weight.fill_(float("nan"))
    rows = pair_dataset(held_out_pairs(4))
    measure = HeldOutRetrieval(rows, tiny_processor(), TrainingArguments("unused"))
    with pytest.raises(NotFiniteError, match="must be finite"):
        measure.ndcg_at_5(model)


def allocation_error():
    try:
        torch.empty(1 << 55)
    except RuntimeError as error:
        return error
    raise AssertionError


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (allocation_error(), "pruned", "a batch of 8 ran out of memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "pruned", "a batch of 8 ran out of memory"),
        (DoesNotFitError("a step must"), "pruned", "a batch of 8 ran out of memory"),
        (MemoryError(), "pruned", "a batch of 8 ran out of memory"),
        (RuntimeError("shapes differ"), "failed", "RuntimeError: shapes differ"),
        (NotFiniteError("loss is nan"), "failed", "loss is nan"),
        (TrialGoneError(), "lost", "another worker has it now"),
    ],
)
def test_what_ends_a_trial_decides_its_outcome(error, state, reason):
    outcome = outcome_of(error, 8)
    assert (outcome.state, outcome.reason) == (state, reason)


MISTAKES = {
    "unknown recipe": (("--recipe", "tny"), "did you mean tiny"),
    "unknown flag": (("--recipe", "tiny", "--learning-rat", "1"), "no flag is called"),
    "no such space": (("--recipe", "tiny", "--space", "absent.toml"), "absent.toml"),
    "storage": (("--recipe", "tiny", "--storage", "study.db"), "--storage must be a URL"),
    "no held-out rows": (
        ("--recipe", "tiny", "--dataset", "./pages"),
        "none are held out; pass --eval-rows",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_one_clear_error(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options, message = MISTAKES[name]
    result = invoke(*options)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_a_folder_with_runs_of_another_study_is_refused(searched, base):
    folder, _ = searched
    url = f"sqlite:///{folder}/other.db"
    result = invoke("--output-dir", folder, "--base", base, "--storage", url, *SHORT)
    assert result.exit_code == 2
    assert "has runs of trials, but the study colintern has none" in " ".join(result.output.split())


def test_processes_of_one_launch_are_no_workers(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = invoke("--recipe", "tiny")
    assert result.exit_code == 2
    assert "a worker of a search is one process" in " ".join(result.output.split())


def test_ctrl_c_saves_the_trial_and_the_same_command_goes_on(base, tmp_path, monkeypatch):
    original = ResourceLogger.on_step_begin

    def interrupted(self, args, state, *more, **rest):
        if state.global_step == 2 and state.max_steps == 4 and not interrupts:
            interrupts.append(state.global_step)
            os.kill(os.getpid(), signal.SIGINT)
        return original(self, args, state, *more, **rest)

    interrupts = []
    monkeypatch.setattr(ResourceLogger, "on_step_begin", interrupted)
    folder = tmp_path / "runs"
    options = ("--trials", 1, "--output-dir", folder, "--base", base, *SHORT)
    stopped = invoke(*options)
    assert stopped.exit_code == 143, stopped.output
    assert "Stopped; the same command goes on." in stopped.output
    assert (folder / "trial-0000" / "checkpoint-3").is_dir()
    result = invoke(*options)
    assert result.exit_code == 0, result.output
    (place,) = places_of(trials_of(folder))
    assert [each.number for each in place.trials] == [0, 1]
    assert place.trial.state == TrialState.COMPLETE
    assert [path.name for path in folder.glob("trial-*")] == ["trial-0000"]
    rows = (folder / "trial-0000" / "trainer_state.json").read_text()
    steps = [row["step"] for row in json.loads(rows)["log_history"] if "loss" in row]
    assert steps == [1, 2, 3, 4]


def test_a_trial_without_memory_is_pruned_and_its_batch_not_tried_again(
    base, tmp_path, monkeypatch
):
    original = ResourceLogger.on_step_begin

    def allocating(self, args, *more, **rest):
        if args.per_device_train_batch_size >= 16:
            torch.empty(1 << 55)
        return original(self, args, *more, **rest)

    monkeypatch.setattr(ResourceLogger, "on_step_begin", allocating)
    space, folder = tmp_path / "space.json", tmp_path / "runs"
    steps = {"gradient_accumulation_steps": {"choices": [1]}}
    space.write_text(json.dumps({BATCH: {"choices": [8, 16]}, **steps}))
    given = [each for each in SHORT if each not in {"--contrastive-batch-size", "8"}]
    options = ("--output-dir", folder, "--base", base, "--space", space, *given)
    assert invoke("--trials", 0, *options).exit_code == 0
    study = optuna.load_study(study_name="colintern", storage=open_storage(None, folder))
    study.enqueue_trial({BATCH: 16})
    study.enqueue_trial({BATCH: 16})
    result = invoke("--trials", 4, *options)
    assert result.exit_code == 0, result.output
    trials = trials_of(folder)
    assert [each.state.name for each in trials[1:]] == ["PRUNED", "PRUNED", "COMPLETE"]
    assert [each.params[BATCH] for each in trials[1:]] == [16, 16, 8]
    limits = [each.user_attrs.get("out_of_memory_batch") for each in trials]
    assert [limit for limit in limits if limit] == [16]
    assert not (folder / "trial-0002").exists()
