"""Healthy things that look odd: nothing is said against them. Each with a twin that is bad."""

import json

import pytest
from builders.adapter import adapter_config, write_adapter
from support.auditing import audit

from colintern.diagnostics.log.learning_rate import rate_bound

OPENELM = {"num_kv_heads": [3, 3], "num_query_heads": [12, 12], "num_key_value_heads": [3, 3]}
SEGFORMER = {"hidden_sizes": [32, 64], "num_attention_heads": [1, 2], "depths": [2, 2]}


def outcomes(pytester, run, *more):
    return audit(pytester, "--checkpoint", run, *more).outcomes


@pytest.mark.parametrize(("kind", "sizes"), [("openelm", OPENELM), ("segformer", SEGFORMER)])
def test_a_config_of_another_kind_is_not_malformed(pytester, tmp_path, kind, sizes):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(json.dumps({"model_type": kind, **sizes}))
    (run / "trainer_state.json").write_text('{"log_history": [], "global_step": 0}')
    assert outcomes(pytester, run)["SEC003"] == "passed"


@pytest.mark.parametrize(
    "document",
    [
        {"model_type": "internvl", "text_config": {"num_key_value_heads": [3, 3]}},
        {"model_type": "openelm", "hidden_size": "wide"},
        {"model_type": "qwen2_vl", "vision_config": {}, "text_config": {"hidden_size": [1]}},
    ],
)
def test_a_config_of_our_kind_is(pytester, tmp_path, document):
    run = tmp_path / "run"
    run.mkdir()
    (run / "config.json").write_text(json.dumps(document))
    (run / "trainer_state.json").write_text('{"log_history": [], "global_step": 0}')
    assert outcomes(pytester, run)["SEC003"] == "failed"


@pytest.mark.parametrize(
    ("alpha", "outcome"), [(4, "passed"), (4.3, "passed"), (3.7, "passed"), (4.6, "warned")]
)
def test_a_scale_near_one_is_one(pytester, healthy_run, alpha, outcome):
    # The healthy run has rank 16: with rsLoRA the scale is alpha / 4.
    assert adapter_config()["r"] == 16
    write_adapter(healthy_run, config={"use_rslora": True, "lora_alpha": alpha})
    assert outcomes(pytester, healthy_run, "--select", "ADP007")["ADP007"] == outcome


@pytest.mark.parametrize(
    ("link", "outcome"),
    [
        ("wandb/run-1/logs/debug.log", "noted"),
        ("data", "noted"),
        ("train.lock", "noted"),
        ("checkpoint-900", "failed"),
        ("1_Dense", "failed"),
        ("notes.json", "failed"),
        ("wandb/code/train.py", "failed"),
    ],
)
def test_a_link_that_no_loader_opens_is_a_note(pytester, healthy_run, link, outcome):
    path = healthy_run / link
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to("/etc/hostname")
    assert outcomes(pytester, healthy_run, "--select", "SEC")["SEC004"] == outcome


def test_a_bad_link_is_named_before_a_harmless_one(pytester, healthy_run):
    (healthy_run / "a.log").symlink_to("/etc/hostname")
    (healthy_run / "model.safetensors").symlink_to("/etc/hostname")
    result = audit(pytester, "--checkpoint", healthy_run, "--select", "SEC")
    assert result.outcomes["SEC004"] == "failed"
    assert result.check("SEC004")["observed"].startswith("model.safetensors: ")


def test_a_model_trained_in_full_is_no_lost_adapter(pytester, healthy_run):
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (healthy_run / name).unlink()
    (healthy_run / "model.safetensors").write_bytes(
        (healthy_run.parent / "base" / "model.safetensors").read_bytes()
    )
    assert outcomes(pytester, healthy_run, "--select", "ADP001")["ADP001"] == "no_evidence"


def test_an_adapter_without_its_settings_is(pytester, healthy_run):
    (healthy_run / "adapter_config.json").unlink()
    assert outcomes(pytester, healthy_run, "--select", "ADP001")["ADP001"] == "failed"


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("llamafactory.hparams.training_args.TrainingArguments", "passed"),
        ("torch.distributed.checkpoint.metadata.Metadata", "passed"),
        ("__main__.TrainingArguments", "passed"),
        ("__main__.Exploit", "warned"),
        ("llamafactory_evil.TrainingArguments", "warned"),
        ("os.system", "failed"),
    ],
)
def test_a_class_of_a_known_trainer_is_known(pytester, healthy_run, name, outcome):
    module, _, attribute = name.rpartition(".")
    content = b"\x80\x02c" + f"{module}\n{attribute}\n".encode() + b")\x81."
    (healthy_run / "training_state.pkl").write_bytes(content)
    assert outcomes(pytester, healthy_run, "--select", "SEC")["SEC001"] == outcome


def test_findings_on_two_files_are_two_roots(pytester, healthy_run):
    (healthy_run / "state.pkl").write_bytes(b"\x80\x02c__main__\nExploit\n)\x81.")
    weights = healthy_run / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    result = audit(pytester, "--checkpoint", healthy_run)
    assert {"SEC001", "SEC003"} <= set(result.roots)


def test_missing_weights_explain_no_flat_loss(pytester, healthy_run):
    # Whatever the weights block cannot carry a cause on to the log.
    weights = healthy_run / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    state = json.loads((healthy_run / "trainer_state.json").read_text())
    for row in state["log_history"]:
        if "loss" in row:
            row["loss"] = 2.0
    (healthy_run / "trainer_state.json").write_text(json.dumps(state))
    result = audit(pytester, "--checkpoint", healthy_run)
    caused = {
        symptom
        for root in result.document["root_causes"]
        if root["rule"] == "SEC003"
        for symptom in root["explains"]
    }
    assert not {symptom for symptom in caused if symptom.startswith("LOG")}
    assert {"LOG002", "LOG003"} & set(result.of_outcome("failed", "warned"))


def log_of(run, rates, losses):
    run.mkdir()
    rows = [
        {"step": 10 * number, "loss": loss, "learning_rate": rate, "epoch": number / 10}
        for number, (rate, loss) in enumerate(zip(rates, losses, strict=True), 1)
    ]
    state = {"log_history": rows, "global_step": rows[-1]["step"], "max_steps": rows[-1]["step"]}
    (run / "trainer_state.json").write_text(json.dumps(state))


RISING = [1.6, 8.0, 11.8, 10.4, 10.4, 10.9]
FALLING = [1.6, 1.2, 0.9, 0.7, 0.6, 0.5]


@pytest.mark.parametrize(
    ("rate", "losses", "outcome"),
    [
        (5.0, RISING, "failed"),
        (0.2, RISING, "failed"),
        (0.09, RISING, "passed"),
        (5.0, FALLING, "no_evidence"),
        (1e-4, FALLING, "no_evidence"),
    ],
)
def test_no_family_is_needed_for_an_absurd_rate(pytester, tmp_path, rate, losses, outcome):
    run = tmp_path / "run"
    log_of(run, [rate] * len(losses), losses)
    assert outcomes(pytester, run)["CFG003"] == outcome


@pytest.mark.parametrize(
    ("optimiser", "limited"),
    [
        ("adamw_torch_fused", True),
        ("paged_adamw_8bit", True),
        (None, True),
        ("prodigy", False),
        ("adafactor", False),
        ("sgd", False),
        ("schedule_free_adamw", True),
    ],
)
def test_the_step_of_another_optimiser_is_not_its_rate(optimiser, limited):
    assert (rate_bound(optimiser, 1.0, 2.0) is not None) is limited
    assert rate_bound(optimiser, 2.0, 1.0) is None
