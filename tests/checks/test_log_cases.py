"""Folders that were misjudged once, rebuilt: what must be a root, and what must not be said."""

import json
import math
import random
import shutil

import pytest
from builders.training_log import write_training_log
from click.testing import CliRunner

from colintern.cli import main

QWEN2 = {
    "peft_type": "LORA",
    "base_model_name_or_path": "vidore/colqwen2-base",
    "target_modules": "(.*(model).*(q_proj|v_proj).*$|.*(custom_text_proj).*$)",
    "r": 8,
    "lora_alpha": 32,
    "task_type": "FEATURE_EXTRACTION",
}


class Found:
    """The JSON report of `colintern audit` on one folder."""

    def __init__(self, run):
        report = run.parent / "audit.json"
        done = CliRunner().invoke(main, ["audit", str(run), "--audit-json", str(report)])
        assert done.exit_code in {0, 1, 5}, done.output
        self.document = json.loads(report.read_text())
        self.checks = {check["rule"]: check for check in self.document["checks"]}

    @property
    def roots(self):
        return {root["rule"]: set(root["explains"]) for root in self.document["root_causes"]}

    def observed(self, rule):
        return self.checks[rule]["observed"]

    def outcome(self, rule):
        return self.checks[rule]["outcome"]

    @property
    def verdict(self):
        return self.document["verdict"]


@pytest.fixture
def run(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def after(step, of, change):
    return lambda at, value: change(value) if at > step / of else value


def resumed_three_times(run):
    """The scheduler starts elsewhere at each resumption; so do the epochs, and once the weights."""

    def rate(at, _):
        share = 1 - at
        return 3e-4 * (share if at < 0.14 else 1.22 * share if at < 0.145 else 0.74 * share)

    def forget(at, value):
        return value + 1.2 * math.exp(-40 * (at - 0.14)) if at > 0.14 else value

    def epochs_back(rows):
        for row in rows:
            if row["step"] > 1_400:
                row["epoch"] /= 2

    write_training_log(
        run,
        steps=2_700,
        max_steps=10_000,
        logging_steps=1,
        eval_steps=0,
        save_steps=50,
        shape=60.0,
        start=7.0,
        end=0.05,
        noise=0.01,
        learning_rate=rate,
        loss=forget,
        edit_rows=epochs_back,
    )


def test_each_leap_of_a_resumed_rate_is_named(run):
    (run / "checkpoint-2700").mkdir()
    resumed_three_times(run / "checkpoint-2700")
    found = Found(run)
    assert {"LOG012", "LOG013", "LOG014"} <= found.roots.keys()
    assert "LOG012" not in found.roots["LOG013"]
    said = found.observed("LOG012")
    assert "x1.22 at step 1,400" in said
    assert "x0.6" in said
    assert "epochs go back at step 1,401" in found.observed("LOG017")


SCORES = (0.68852, 0.64452, 0.6454)


def with_scores(name, scores, every):
    def edit(rows):
        for number, score in enumerate(scores, start=1):
            step = number * every
            row = {"step": step, "epoch": 0.01 * number, name: score, "eval_runtime": 72.0}
            place = next((i for i, each in enumerate(rows) if each["step"] > step), len(rows))
            rows.insert(place, row)

    return edit


def test_score_that_falls_is_told_from_its_own_metric(run):
    write_training_log(
        run,
        steps=800,
        max_steps=22_500,
        logging_steps=5,
        eval_steps=0,
        shape=0,
        start=1.15,
        end=-2.0,
        edit_rows=with_scores("eval_it-ir_score", SCORES, 200),
        edit_state={"best_metric": 0.68852, "best_model_checkpoint": "out/checkpoint-200"},
    )
    found = Found(run)
    assert "LOG007" in found.roots
    assert "eval_it-ir_score 0.6885 at step 200, 0.6454 at the end" in found.observed("LOG007")
    assert "0 evaluations" not in json.dumps(found.document["checks"]).replace("and 0 eval", "")


def test_metric_that_falls_is_told_without_a_loss(run):
    scores = (0.688, 0.66, 0.645, 0.645, 0.63, 0.61, 0.60, 0.59, 0.585, 0.58)
    name = "eval_NanoBEIR_mean_maxsim_ndcg@10"
    write_training_log(
        run,
        steps=1_000,
        eval_steps=0,
        shape=0,
        start=1.16,
        end=1.05,
        edit_rows=with_scores(name, scores, 100),
        edit_state={"best_metric": 0.688, "best_model_checkpoint": "out/checkpoint-100"},
    )
    found = Found(run)
    assert "LOG007" in found.roots
    assert f"{name} 0.688 at step 100, 0.58 at the end" in found.observed("LOG007")


def write_checkpoint(run, step, *, base="vidore/colqwen2-base", **log):
    folder = run / f"checkpoint-{step}"
    folder.mkdir()
    (folder / "adapter_config.json").write_text(
        json.dumps(QWEN2 | {"base_model_name_or_path": base})
    )
    write_training_log(folder, steps=step, **log)
    return folder


def test_checkpoints_of_two_bases_are_told_apart(run):
    for step in (5, 10, 15):
        write_checkpoint(run, step, base="ORG/Qwen2.5-1.5B", max_steps=15, eval_steps=0, warmup=2)
    for step in (500, 750):
        write_checkpoint(run, step, base="ORG/llama-3-8b", max_steps=750, seed=3)
    final = run / "final_model"
    final.mkdir()
    shutil.copyfile(run / "checkpoint-5" / "adapter_config.json", final / "adapter_config.json")
    found = Found(run)
    assert "LOG019" in found.roots
    assert "checkpoint-500, checkpoint-750 (750 steps planned, ORG/llama-3-8b)" in found.observed(
        "LOG019"
    )
    # Judged is the log of the run that the final model is of.
    assert found.observed("LOG013").startswith("15 of 15 steps")
    assert found.outcome("ADP019") != "passed"


def test_checkpoint_of_an_earlier_run_is_named_and_not_judged(run):
    for step in (500, 1_000):
        write_checkpoint(run, step, max_steps=1_000, save_steps=500, eval_steps=0, seed=1)
    for step in (1_500, 2_000):
        write_checkpoint(
            run, step, max_steps=2_000, save_steps=500, eval_steps=0, start=4.1, end=3.9, seed=2
        )
    found = Found(run)
    assert "LOG019" in found.roots
    assert "checkpoint-1500, checkpoint-2000 (2,000 steps planned" in found.observed("LOG019")
    assert "it has overwritten checkpoints of the other" in found.observed("LOG019")
    assert found.observed("LOG013").startswith("1,000 of 1,000 steps")


def test_flat_loss_is_a_root_beside_a_missing_warm_up(run):
    write_training_log(
        run, steps=1_000, start=2.17, end=2.14, noise=0.1, shape=0, warmup=1, eval_steps=0
    )
    found = Found(run)
    assert {"LOG003", "LOG012"} <= found.roots.keys()
    assert "LOG003" not in found.roots["LOG012"]


def test_rate_that_starts_anew_is_named(run):
    def anew(at, _):
        step = at * 1_000
        since = step - 500 if step > 500 else step
        return 5e-5 * (since / 50 if since <= 50 else 1 - (since - 50) / 950)

    write_training_log(run, steps=1_000, learning_rate=anew, eval_steps=0)
    found = Found(run)
    assert "LOG012" in found.roots
    assert "the warm-up runs again from step 510" in found.observed("LOG012")


def test_loss_that_is_zero_from_a_step_on_is_no_pass(run):
    write_training_log(
        run,
        steps=2_000,
        eval_steps=0,
        start=1.55,
        end=0.1,
        shape=2.0,
        loss=after(1_200, 2_000, lambda _: 0.0),
        grad_norm=lambda *_: 1.0,
        edit_state={"train_batch_size": 2},
    )
    found = Found(run)
    assert "LOG009" in found.roots
    assert found.verdict == "fail"
    assert "then exactly 0 from step 1,210 on" in found.observed("LOG009")


@pytest.mark.parametrize("rows", [60, 10])
def test_loss_at_ln_64_is_chance_also_where_the_family_is_known(run, rows):
    chance = random.Random(4)
    (run / "adapter_config.json").write_text(json.dumps(QWEN2))
    write_training_log(
        run,
        steps=rows * 10,
        batch_size=64,
        eval_steps=0,
        peak=0.1,
        loss=lambda *_: math.log(64) + chance.gauss(0, 0.002),
        grad_norm=lambda *_: chance.uniform(1e-7, 1e-6),
    )
    found = Found(run)
    assert found.outcome("LOG002") == "failed"
    assert "chance is ln(64) = 4.16" in found.observed("LOG002")
    # Its tiny gradients are a symptom of the same, not its cause.
    assert "LOG002" not in found.roots.get("LOG011", ())
    assert found.roots.keys() != {"LOG012"}


def stopped_early(run, *, root_of):
    """Patience used up at 800; the root has the weights of `root_of`, byte for byte."""
    values = {
        100: 0.62,
        200: 0.41,
        300: 0.35,
        400: 0.36,
        500: 0.38,
        600: 0.40,
        700: 0.43,
        800: 0.46,
    }
    patience = {
        "EarlyStoppingCallback": {
            "args": {"early_stopping_patience": 5},
            "attributes": {"early_stopping_patience_counter": 5},
        }
    }
    state = {
        "best_metric": 0.35,
        "best_model_checkpoint": "out/checkpoint-300",
        "stateful_callbacks": patience,
    }
    write_training_log(
        run,
        steps=800,
        max_steps=3_000,
        end=-0.8,
        noise=0.02,
        closing=False,
        eval_loss=lambda at, _: values[round(at * 3_000)],
        edit_state=state,
    )
    for step in (300, 800):
        folder = run / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "adapter_model.safetensors").write_bytes(f"weights of {step}".encode() * 99)
        (folder / "adapter_config.json").write_text(json.dumps(QWEN2))
    (run / "adapter_config.json").write_text(json.dumps(QWEN2))
    shutil.copyfile(
        run / f"checkpoint-{root_of}" / "adapter_model.safetensors",
        run / "adapter_model.safetensors",
    )


def test_weights_of_the_best_checkpoint_are_not_overfitted(run):
    stopped_early(run, root_of=300)
    found = Found(run)
    assert found.outcome("LOG007") == "passed"
    assert "the audited weights are those of step 300" in found.observed("LOG007")
    assert found.outcome("LOG015") == "passed"


def test_weights_of_the_last_checkpoint_are(run):
    stopped_early(run, root_of=800)
    assert Found(run).outcome("LOG007") == "failed"


def test_best_that_may_have_been_loaded_is_a_warning(run):
    stopped_early(run, root_of=800)
    for step in (300, 800):
        shutil.rmtree(run / f"checkpoint-{step}")
    assert Found(run).outcome("LOG007") == "warned"


def test_rate_of_five_blows_up_in_ten_rows(run):
    losses = iter((1.637, 11.8069, 11.6046, 10.3829, *(6 * (10.3735,))))
    write_training_log(
        run,
        steps=10,
        logging_steps=1,
        eval_steps=0,
        warmup=0,
        loss=lambda *_: next(losses),
        learning_rate=lambda *_: 5,
    )
    found = Found(run)
    assert found.outcome("LOG006") == "failed"
    assert found.verdict == "fail"
    assert "loss from 1.64 in the first rows, never back there, to 10.4" in found.observed("LOG006")
