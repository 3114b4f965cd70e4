import json
import logging
import os
from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from builders.tiny_model import guide_lora, random_model, write_base  # noqa: E402 - after the skip
from builders.training_pairs import PairRows  # noqa: E402 - after the skip
from click.testing import CliRunner  # noqa: E402 - after the skip
from colpali_engine.collators import VisualRetrieverCollator  # noqa: E402 - after the skip
from colpali_engine.loss import ColbertLoss  # noqa: E402 - after the skip
from colpali_engine.trainer.contrastive_trainer import ContrastiveTrainer  # noqa: E402 - after the skip
from support.live_runs import (  # noqa: E402 - after the skip
    FIRST_TENTH,
    audited,
    break_loss,
    explode_gradients,
    freeze_projection,
    roots,
    shuffle_labels,
)
from support.own_checks import HEAD, check, verdict  # noqa: E402 - after the skip
from torch import nn  # noqa: E402 - after the skip
from transformers import Trainer, TrainerCallback, TrainingArguments  # noqa: E402 - after the skip

from colintern.artifacts.running.log import read_live_log  # noqa: E402 - after the skip
from colintern.artifacts.running.record import read_live_record  # noqa: E402 - after the skip
from colintern.artifacts.running.run import read_running_run  # noqa: E402 - after the skip
from colintern.cli import main  # noqa: E402 - after the skip
from colintern.engine.policy import Policy, Waiver  # noqa: E402 - after the skip
from colintern.model.lora import apply_lora  # noqa: E402 - after the skip
from colintern.pages.train_base import tiny_processor  # noqa: E402 - after the skip
from colintern.recipes.named import tiny  # noqa: E402 - after the skip
from colintern.training import AuditCallback  # noqa: E402 - after the skip
from colintern.training.audit_callback import AuditStopError  # noqa: E402 - after the skip
from colintern.training.faults import NotFiniteError  # noqa: E402 - after the skip
from colintern.training.live_subject import GradientWatch  # noqa: E402 - after the skip
from colintern.training.preflight import PreflightError  # noqa: E402 - after the skip
from colintern.training.run import train  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]


class Regression(nn.Module):
    """Something else than a retriever."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 1)

    def forward(self, x, labels):
        return {"loss": nn.functional.mse_loss(self.linear(x)[:, 0], labels)}


def examples(count=64, broken=None):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(count, 4, generator=generator)
    y = x.sum(1)
    if broken is not None:
        y[:] = broken
    return [{"x": one, "labels": other} for one, other in zip(x, y, strict=True)]


class Detached(nn.Module):
    def __init__(self, *, reached):
        super().__init__()
        self.body = nn.Linear(3, 3)
        self.custom_text_proj = nn.Linear(3, 2)
        self.reached = reached

    def loss(self):
        hidden = self.body(torch.ones(1, 3))
        return self.custom_text_proj(hidden).sum() if self.reached else hidden.sum()


@pytest.mark.parametrize("reached", [True, False])
def test_a_projection_that_no_gradient_reaches_is_seen(reached):
    model = Detached(reached=reached)
    watch = GradientWatch(model)
    assert watch.parts().projection_state("custom_text_proj")[0]
    for _ in range(3):
        assert not watch.done
        model.zero_grad()
        model.loss().backward()
        watch.look()
    assert watch.done
    assert watch.parts().projection_state("custom_text_proj")[0] is reached


def test_gradients_that_an_engine_keeps_elsewhere_tell_nothing():
    watch = GradientWatch(Detached(reached=True))
    for _ in range(5):
        watch.look()
    assert not watch.done
    assert watch.parts().projection_state("custom_text_proj")[0]


def plain_arguments(folder, **changes):
    values = {
        "max_steps": 40,
        "per_device_train_batch_size": 8,
        "logging_steps": 1,
        "learning_rate": 0.05,
        "save_strategy": "no",
        "report_to": [],
        "disable_tqdm": True,
        "use_cpu": True,
    }
    return TrainingArguments(str(folder), **{**values, **changes})


def plain_run(folder, audit, *, rows=None, model=None, **changes):
    trainer = Trainer(
        model=model or Regression(),
        args=plain_arguments(folder, **changes),
        train_dataset=rows or examples(),
        callbacks=[audit],
    )
    trainer.train()
    return trainer


MACHINE_ASIDE = Policy(
    waivers={
        rule: Waiver("what else the machine does is no matter of these runs")
        for rule in ("HWU001", "HWU002", "HWU003", "HWU004")
    }
)


def test_a_plain_trainer_of_something_else_is_watched_in_silence(tmp_path, caplog):
    audit = AuditCallback(policy=MACHINE_ASIDE)
    plain_run(tmp_path, audit)
    assert roots(audit) == {}
    assert [each for each in caplog.records if each.name.startswith("colintern")] == []
    record = read_live_record(tmp_path / "colintern_live.json", None)
    assert (record.status, record.step, record.max_steps) == ("ended", 40, 40)
    assert {"LOG001", "LOG006", "LOG010"} <= set(record.judged)
    rows = read_live_log(tmp_path / "colintern_log.jsonl", None)
    assert [row["step"] for row in rows] == list(range(1, 41))
    assert rows[-1]["loss"] < rows[0]["loss"] / 2


def test_a_nan_of_a_plain_trainer_is_named_at_its_step(tmp_path, caplog):
    audit = AuditCallback()
    with caplog.at_level(logging.WARNING):
        plain_run(tmp_path, audit, rows=examples(broken=float("nan")))
    assert roots(audit)["LOG001"] == 1
    told = [each.getMessage() for each in caplog.records if ": error LOG001 " in each.getMessage()]
    assert len(told) == 1
    assert "fix: " in told[0]


@pytest.mark.parametrize(("stop_on", "last"), [("error", 2), ("warning", 2), ("never", 40)])
def test_a_finding_ends_the_run_with_a_checkpoint_when_asked(tmp_path, stop_on, last):
    audit = AuditCallback(stop_on=stop_on, policy=MACHINE_ASIDE)
    trainer = plain_run(tmp_path, audit, rows=examples(broken=float("inf")))
    assert trainer.state.global_step == last
    assert (tmp_path / f"checkpoint-{last}").is_dir() is (stop_on != "never")
    record = read_live_record(tmp_path / "colintern_live.json", None)
    assert record.status == ("ended" if stop_on == "never" else "stopped")
    assert audit.stopped_by == record.stopped_by == (None if stop_on == "never" else "LOG001")


def test_a_fault_of_the_audit_does_not_reach_the_run(tmp_path, caplog, monkeypatch):
    audit = AuditCallback(stop_on="error")

    def broken(*_, **__):
        raise OSError("no space left on device")

    monkeypatch.setattr("colintern.training.live_audit.append_row", broken)
    trainer = plain_run(tmp_path, audit)
    assert trainer.state.global_step == 40
    told = [each.getMessage() for each in caplog.records if "the run goes on" in each.getMessage()]
    assert len(told) == 1
    assert "no space left" in told[0]


def engine_run(folder, *, batch=4, frozen=False, **loss):
    """Three steps of colpali-engine's own trainer, which keeps no manifest."""
    model, _ = apply_lora(random_model(), guide_lora())
    if frozen:
        for name, parameter in model.named_parameters():
            if "custom_text_proj" in name:
                parameter.requires_grad_(False)
    loss_func = ColbertLoss(**loss)
    audit = AuditCallback(loss=loss_func, policy=MACHINE_ASIDE)
    trainer = ContrastiveTrainer(
        model=model,
        args=plain_arguments(
            folder,
            max_steps=4,
            per_device_train_batch_size=batch,
            remove_unused_columns=False,
            label_names=[],
        ),
        loss_func=loss_func,
        is_vision_model=True,
        train_dataset=PairRows(batch * 4),
        eval_dataset=None,
        data_collator=VisualRetrieverCollator(tiny_processor()),
        processing_class=tiny_processor(),
        callbacks=[audit],
    )
    trainer.train()
    return {each.rule for each in audit.findings}


def test_another_retriever_trainer_is_told_by_its_model(tmp_path):
    healthy = engine_run(tmp_path / "healthy")
    assert healthy.isdisjoint({"PRJ002", "CFG013", "LOG009"})
    assert "CFG002" in healthy
    assert engine_run(tmp_path / "frozen", frozen=True) - healthy == {"PRJ002"}
    assert engine_run(tmp_path / "temperature", temperature=1.0) - healthy == {"CFG013"}
    assert {"LOG009"} <= engine_run(tmp_path / "one", batch=1) - healthy


SHORT = (
    *("--recipe", "tiny", "--contrastive-batch-size", "8", "--num_train_epochs", "1"),
    *("--eval-strategy", "no", "--use_cpu", "--disable-tqdm", "true", "--set", "train_pairs=32"),
    *("--warmup_steps", "1", "--logging-steps=1", "--save_steps", "100"),
)


def test_a_finding_before_the_first_step_costs_no_step(tmp_path):
    base = write_base(tmp_path / "base")
    options = ("--base", base, "--output-dir", tmp_path / "run", "--stop-on", "error")
    result = CliRunner().invoke(main, ["train", *map(str, options), *SHORT])
    assert result.exit_code == 3, result.output
    assert "ended the run before its first step (--stop-on error); nothing was" in result.stderr
    assert list((tmp_path / "run").glob("checkpoint-*")) == []
    record = read_live_record(tmp_path / "run" / "colintern_live.json", None)
    assert (record.status, record.step) == ("stopped", 0)
    manifest = json.loads((tmp_path / "run" / "colintern_run.json").read_text())
    assert manifest["status"] == "interrupted"
    resumed = CliRunner().invoke(main, ["train", *map(str, options[:-2]), "--resume", *SHORT])
    assert resumed.exit_code == 0, resumed.output
    record = read_live_record(tmp_path / "run" / "colintern_live.json", None)
    assert (record.status, record.step) == ("ended", 4)


class FindingAt(TrainerCallback):
    def __init__(self, audit, step):
        self.audit, self.step = audit, step

    def on_step_begin(self, _, state, __, **___):
        record = self.audit.folder / "colintern_live.json"
        if state.global_step == self.step - 1:
            os.utime(record, (1, 1))
        if state.global_step == self.step:
            self.beaten = record.stat().st_mtime > 1
            self.alive = read_running_run(self.audit.folder).is_alive
            self.audit.audit.stopped_by = "LOG010"


def test_a_finding_in_the_run_ends_it_with_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr("colintern.training.live_audit._BEAT_SECONDS", 0.0)
    arguments = {"use_cpu": True, "disable_tqdm": True}
    base, run = str(write_base(tmp_path / "base")), tmp_path / "run"
    recipe = replace(tiny(), base=base, arguments=arguments, per_device_train_batch_size=4)
    # What this batch shows at the start is waived: the finding comes later.
    waived = dict.fromkeys(("CFG001", "CFG002"), Waiver("too small to learn"))
    policy = Policy(waivers={**MACHINE_ASIDE.waivers, **waived})
    audit = AuditCallback(stop_on="error", policy=policy)
    asked = FindingAt(audit, step=2)
    with pytest.raises(AuditStopError, match=r"LOG010 ended the run at step 3 .*checkpoint-3 is"):
        train(
            replace(recipe, train_pairs=400, eval_steps=None), run, callbacks=[asked], audit=audit
        )
    assert (run / "checkpoint-3" / "adapter_model.safetensors").exists()
    assert (asked.beaten, asked.alive) == (True, True)
    assert read_live_record(run / "colintern_live.json", None).process is None


def test_a_nan_that_ends_the_run_is_in_its_record(tmp_path, monkeypatch):
    break_loss(monkeypatch)
    with pytest.raises(NotFiniteError):
        audited(tmp_path / "run", steps=4, audit=AuditCallback(policy=MACHINE_ASIDE))
    record = read_live_record(tmp_path / "run" / "colintern_live.json", None)
    assert {each.rule for each in record.findings} == {"LOG001"}


def test_a_batch_of_one_does_not_begin(tmp_path):
    with pytest.raises(PreflightError, match="a query has no page to be told from"):
        audited(tmp_path / "run", per_device_train_batch_size=1)


@pytest.mark.parametrize(("seed", "steps"), [(101, FIRST_TENTH), (102, 20), (103, 20)])
def test_healthy_runs_raise_nothing(tmp_path, seed, steps):
    audit = audited(tmp_path / "run", seed=seed, steps=steps)
    assert roots(audit) == {}
    record = read_live_record(tmp_path / "run" / "colintern_live.json", None)
    judged = {"CFG003", "CFG004", "CFG013", "LOG001", "LOG010", "PRJ002"}
    assert judged <= set(record.judged)
    assert ("LOG002" in record.judged) is (steps == FIRST_TENTH)


@pytest.mark.acceptance
@pytest.mark.parametrize("seed", range(1, 21))
def test_twenty_healthy_runs_raise_nothing(tmp_path, seed):
    audit = audited(tmp_path / "run", seed=seed, steps=3 * FIRST_TENTH)
    assert roots(audit) == {}


FAULTS = {
    "learning rate x 100": ({"learning_rate": 0.2}, None, "CFG003"),
    "temperature": ({"temperature": 1.0}, None, "CFG013"),
    "temperature of sums": ({"normalize_scores": False}, None, "CFG013"),
    "frozen projection": ({}, freeze_projection, "PRJ002"),
    "exploding gradients": ({}, explode_gradients, "LOG010"),
    "shuffled labels": ({}, shuffle_labels, "LOG002"),
}


@pytest.mark.acceptance
@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_named_in_the_first_tenth(tmp_path, monkeypatch, fault):
    changes, inject, rule = FAULTS[fault]
    if inject is not None:
        inject(monkeypatch)
    found = roots(audited(tmp_path / "run", seed=7, **changes))
    assert set(found) == {rule}
    assert found[rule] <= FIRST_TENTH


TEAM_RULES = HEAD + check(1, verdict(ok=False), live=("start",)) + check(2, verdict(ok=False))
TEAM_RULES = TEAM_RULES.replace("(layout)", "()")


def test_a_teams_own_rules_are_asked_too(tmp_path):
    file = tmp_path / "check_team.py"
    file.write_text(TEAM_RULES)
    audit = AuditCallback(policy=MACHINE_ASIDE, checks=[str(file)])
    plain_run(tmp_path / "run", audit)
    assert roots(audit) == {"TEAM001": 0}


def test_a_team_file_that_is_wrong_is_told_before_the_run(tmp_path):
    file = tmp_path / "check_team.py"
    file.write_text(TEAM_RULES.replace('"TEAM001"', '"CFG001"'))
    with pytest.raises(ValueError, match="two rules have the id CFG001"):
        AuditCallback(checks=[file])
