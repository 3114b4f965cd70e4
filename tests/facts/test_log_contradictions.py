import pytest
from builders.manifest import write_manifest
from builders.training_log import write_training_log
from support.auditing import audit

from colintern.facts.batch_size import log_contradictions
from colintern.facts.config_sources import ConfigSource, merged_config

LOG = {"logged_epochs": 5, "total_steps": 600, "train_batch_size": 16}


def found(source="colintern_run.json", log=LOG, **asked):
    sources = [ConfigSource(source, asked), ConfigSource("trainer_state.json", log)]
    return [text.partition(" ")[0] for text in log_contradictions(merged_config(sources))]


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({"num_train_epochs": 5}, []),
        ({"num_train_epochs": 4.2}, []),
        ({"num_train_epochs": 1}, ["num_train_epochs"]),
        ({"num_train_epochs": 8}, ["num_train_epochs"]),
        ({"num_train_epochs": 0}, []),
        ({"num_train_epochs": 1, "max_steps": 600}, []),
        ({"num_train_epochs": 5, "max_steps": 601}, ["max_steps"]),
        ({"num_train_epochs": 5, "max_steps": -1}, []),
        ({"per_device_train_batch_size": 16}, []),
        ({"per_device_train_batch_size": 8}, []),
        ({"per_device_train_batch_size": 32}, ["per_device_train_batch_size"]),
        ({"per_device_train_batch_size": 32, "auto_find_batch_size": True}, []),
        (
            {"num_train_epochs": 1, "per_device_train_batch_size": 5},
            ["num_train_epochs", "per_device_train_batch_size"],
        ),
    ],
)
def test_arguments_that_the_log_contradicts(asked, named):
    assert found(**asked) == named
    assert found("training_args.bin", **asked) == named
    assert found("README.md", **asked) == []
    assert found(log={}, **asked) == []


def test_contradiction_is_named_with_both_figures(pytester, healthy_run):
    write_training_log(healthy_run, epochs=8)
    write_manifest(healthy_run, arguments={"num_train_epochs": 1})
    result = audit(pytester, "--checkpoint", healthy_run, "--select", "LOG017")
    assert result.outcomes["LOG017"] == "warned"
    shown = "num_train_epochs 1 in colintern_run.json, 8 in trainer_state.json"
    assert result.check("LOG017")["observed"] == shown


def test_no_public_run_contradicts_its_log(pytester, corpus):
    folders = sorted((corpus / "checkpoints").iterdir())
    arguments = [part for folder in folders for part in ("--checkpoint", folder)]
    result = audit(pytester, *arguments, "--select", "LOG017")
    checks = [check for check in result.document["checks"] if check["rule"] == "LOG017"]
    assert any(check["outcome"] == "passed" for check in checks)
    assert [check["observed"] for check in checks if check["outcome"] == "warned"] == []


@pytest.mark.parametrize(("total", "outcome"), [(64, "passed"), (4096, "warned")])
def test_written_batch_hides_no_small_one(pytester, healthy_run, total, outcome):
    write_manifest(healthy_run, effective_batch_size=total, candidates=min(total, 64))
    result = audit(pytester, "--checkpoint", healthy_run, "--select", "LOG017,CFG002")
    assert result.outcomes == {"LOG017": outcome, "CFG002": "passed"}
    assert result.check("CFG002")["observed"] == "effective batch 64"
    named = "effective_batch_size 4,096 in colintern_run.json, 64 by per_device_train_batch_size x "
    assert (named in result.check("LOG017")["observed"]) == (outcome == "warned")
