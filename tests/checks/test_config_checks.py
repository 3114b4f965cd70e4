import pytest
from builders.manifest import write_manifest
from builders.model_card import write_model_card, write_sentence_transformers_card
from builders.training_log import write_training_log

from colintern.artifacts.results.evaluation_record import EvaluationRecord
from colintern.artifacts.run.layout import read_run_layout
from colintern.artifacts.run.training_args import TrainingArguments
from colintern.engine.catalogue import shipped_rules
from colintern.engine.evidence import config as config_evidence
from colintern.engine.evidence import log as log_evidence
from colintern.engine.resolver import Resolver, providers_of
from colintern.engine.verdict import ERROR, WARNING, NoEvidence
from colintern.families.catalogue import family_named
from colintern.families.colintern import COLINTERN
from colintern.guide import GUIDE

RULES = shipped_rules()
UNKNOWN = ("family", "training_args", "adapter", "outline", "evaluation_record")


def missing():
    raise NoEvidence("a file", needed_for="a test")


def judge(rule, run, *, family=COLINTERN, arguments=None, record=None):
    """The verdict on what `run` holds; `arguments` stand for training_args.bin."""
    providers = providers_of(config_evidence, log_evidence)
    providers |= dict.fromkeys(UNKNOWN, missing)
    given = {"layout": read_run_layout(run), "guide": GUIDE}
    if family is not None:
        given["family"] = family
    if record is not None:
        given["evaluation_record"] = record
    if arguments is not None:
        given["training_args"] = TrainingArguments(values=arguments)
    providers = {name: made for name, made in providers.items() if name not in given}
    return Resolver(providers, given).call(RULES[rule].check)


POOR = {
    "num_train_epochs": 1.0,
    "max_steps": -1,
    "per_device_train_batch_size": 2,
    "gradient_accumulation_steps": 1,
    "n_gpu": 1,
    "distributed_state": {"num_processes": 1, "device": "cuda"},
}


@pytest.fixture
def run(tmp_path):
    return tmp_path


def test_poor_settings_without_a_manifest(run):
    write_training_log(run, epochs=1, batch_size=2, closing=False)
    for rule, seen in (("CFG001", "planned epochs: 1"), ("CFG002", "effective batch 2")):
        verdict = judge(rule, run, arguments=POOR)
        assert (verdict.ok, verdict.severity, verdict.observed) == (False, ERROR, seen)
        assert "training_args.bin" in verdict.where


def test_poor_settings_in_the_log_alone(run):
    write_training_log(run, epochs=1, batch_size=2, closing=False)
    assert judge("CFG001", run).ok is False
    with pytest.raises(NoEvidence, match="at least 2"):
        judge("CFG002", run)


def test_poor_settings_in_the_card_alone(run):
    write_model_card(
        run,
        num_epochs="1",
        train_batch_size="2",
        gradient_accumulation_steps=None,
        total_train_batch_size=None,
    )
    assert judge("CFG001", run).where == "README.md: num_epochs"
    assert judge("CFG002", run).observed == "effective batch 2"
    assert judge("CFG004", run).observed == "negatives a query: 1"


def test_family_decides_how_bad_few_epochs_are(run):
    write_manifest(run, arguments={"num_train_epochs": 0.5})
    assert judge("CFG001", run).severity is ERROR
    assert judge("CFG001", run, family=family_named("ColPali")).severity is WARNING
    write_manifest(run, arguments={"num_train_epochs": 1})
    assert judge("CFG001", run, family=family_named("ColPali")).ok


def test_early_stopped_run_was_asked_for_enough(run):
    write_training_log(run, steps=240, max_steps=600)
    assert judge("CFG001", run).ok


def test_rounded_throughput_is_not_accused(run):
    def shown(rows):
        rows[-1].update(train_samples_per_second=25.568, train_steps_per_second=0.4)
        del rows[-1]["train_runtime"]

    write_training_log(run, edit_rows=shown, edit_state={"train_batch_size": None})
    assert judge("CFG002", run).observed == "effective batch 64"


def test_nothing_is_said_inside_the_rounding_error(run):
    def slow(rows):
        rows[-1].update(train_samples_per_second=0.256, train_steps_per_second=0.004)
        del rows[-1]["train_runtime"]

    write_training_log(run, edit_rows=slow, edit_state={"train_batch_size": None})
    with pytest.raises(NoEvidence, match=r"known: 5\d\.\d to 7\d\.\d"):
        judge("CFG002", run)


@pytest.mark.parametrize("rule", [f"CFG{number:03}" for number in (1, 2, 3, 4, 5, 6, 8, 9, 10, 12)])
def test_run_that_may_be_no_retriever_is_not_judged(run, rule):
    write_training_log(run, epochs=1, batch_size=1)
    with pytest.raises(NoEvidence):
        judge(rule, run, family=None, arguments={**POOR, "fp16": True, "eval_strategy": "no"})


def test_contrastive_text_model_is_judged_by_its_negatives(run):
    write_sentence_transformers_card(run, per_device_train_batch_size=2)
    verdict = judge("CFG004", run, family=None)
    assert (verdict.ok, verdict.severity) == (False, WARNING)
    write_sentence_transformers_card(run, per_device_train_batch_size=16)
    assert judge("CFG004", run, family=None).ok
    with pytest.raises(NoEvidence):
        judge("CFG001", run, family=None)


@pytest.mark.parametrize(
    ("candidates", "per_device", "ok", "severity"),
    [(64, 4, True, WARNING), (16, 16, True, WARNING), (4, 4, False, WARNING), (1, 1, False, ERROR)],
)
def test_negatives(run, candidates, per_device, ok, severity):
    write_manifest(
        run,
        arguments={"per_device_train_batch_size": per_device},
        candidates=candidates,
        contrastive_batch_size=candidates,
    )
    verdict = judge("CFG004", run)
    assert (verdict.ok, verdict.severity) == (ok, severity)


@pytest.mark.parametrize(
    ("rate", "ok", "severity"),
    [(7e-5, True, WARNING), (1e-5, True, WARNING), (2e-4, False, WARNING), (2e-3, False, ERROR)],
)
def test_learning_rate(run, rate, ok, severity):
    write_manifest(run, arguments={"learning_rate": rate})
    verdict = judge("CFG003", run)
    assert (verdict.ok, verdict.severity) == (ok, severity)


@pytest.mark.parametrize(
    ("changes", "ok", "severity"),
    [
        ({"warmup_steps": 100}, True, WARNING),
        ({"warmup_steps": 0}, False, WARNING),
        ({"warmup_steps": 12}, True, WARNING),
        ({"warmup_steps": 11}, False, WARNING),
        ({"warmup_steps": 0.03}, True, WARNING),
        ({"warmup_steps": 0, "warmup_ratio": 0.4}, False, ERROR),
        ({"warmup_steps": 200}, False, ERROR),
    ],
)
def test_warmup(run, changes, ok, severity):
    write_training_log(run)
    write_manifest(run, arguments=changes)
    verdict = judge("CFG005", run)
    assert (verdict.ok, verdict.severity) == (ok, severity)


def test_short_warmup_of_unknown_epochs_is_no_evidence(run):
    write_manifest(run, arguments={"warmup_steps": 50})
    with pytest.raises(NoEvidence, match="50 steps"):
        judge("CFG005", run)


@pytest.mark.parametrize(
    ("changes", "hardware", "ok", "severity"),
    [
        ({}, {}, True, WARNING),
        ({"bf16": False, "fp16": True}, {}, False, ERROR),
        ({"bf16": False}, {"dtype": "float32"}, False, WARNING),
        ({"bf16": False}, {"dtype": "bfloat16"}, True, WARNING),
        ({"bf16": False}, {"dtype": "float32", "device": "cpu"}, True, WARNING),
        ({"bf16": False}, {"dtype": "float32", "gpu": "Tesla T4"}, True, WARNING),
    ],
)
def test_precision(run, changes, hardware, ok, severity):
    write_manifest(run, arguments=changes, hardware=hardware)
    verdict = judge("CFG006", run)
    assert (verdict.ok, verdict.severity) == (ok, severity)


@pytest.mark.parametrize(
    ("trained", "evaluated", "ok", "severity", "cause"),
    [
        ("bfloat16", "bfloat16", True, WARNING, None),
        ("bfloat16", "float32", True, WARNING, None),
        ("bfloat16", None, True, WARNING, None),
        ("float32", "bfloat16", True, WARNING, None),
        ("bfloat16", "torch.float16", False, WARNING, "RES001"),
        ("float32", "float16", False, WARNING, "RES001"),
        ("float16", "float16", False, ERROR, "LOG001"),
    ],
)
def test_precision_of_evaluation(run, trained, evaluated, ok, severity, cause):  # noqa: PLR0917
    write_manifest(run, arguments={"bf16": False}, hardware={"dtype": trained, "gpu": "Tesla T4"})
    verdict = judge("CFG006", run, record=EvaluationRecord(dtype=evaluated))
    assert (verdict.ok, verdict.severity) == (ok, severity)
    assert verdict.ok or cause in verdict.explains


def test_unknown_gpu_accuses_nobody(run):
    write_manifest(
        run,
        arguments={"bf16": False},
        hardware={"dtype": "float32", "gpu": "X", "attention": "sdpa"},
    )
    for rule in ("CFG006", "CFG007"):
        with pytest.raises(NoEvidence):
            judge(rule, run)


@pytest.mark.parametrize(
    ("loss", "ok"),
    [
        ({"temperature": 0.02, "normalize_scores": True}, True),
        ({"temperature": 1.0, "normalize_scores": True}, False),
        ({"temperature": 0.2, "normalize_scores": True}, False),
        ({"temperature": 0.2, "normalize_scores": False}, True),
        ({"temperature": 0.02, "normalize_scores": False}, False),
        ({"class": "ColbertPairwiseCELoss", "temperature": None, "normalize_scores": None}, False),
    ],
)
def test_temperature(run, loss, ok):
    write_manifest(run, loss=loss)
    assert judge("CFG013", run).ok is ok


def test_temperature_of_a_bi_encoder_is_not_judged(run):
    write_manifest(run, loss={"class": "BiPairwiseCELoss", "temperature": 1.0})
    with pytest.raises(NoEvidence):
        judge("CFG013", run)


def test_attention_and_evaluation(run):
    write_manifest(run, hardware={"attention": "sdpa"}, arguments={"eval_strategy": "no"})
    assert not judge("CFG007", run).ok
    assert not judge("CFG008", run).ok
    write_training_log(run)
    assert judge("CFG008", run).ok
