"""Configuration of public runs: every file is read, and none is accused."""

import pytest

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.logs.trainer_state import read_trainer_state
from colintern.artifacts.run.training_args import read_training_args
from colintern.engine.catalogue import shipped_rules
from colintern.engine.policy import Policy
from colintern.engine.providers import judge_of
from colintern.engine.subjects import AuditOptions, Subject
from colintern.facts.batch_size import batch_size
from colintern.facts.config_sources import recorded_config
from colintern.facts.training_mode import planned_warmup, training_precision


def described(config):
    batch = batch_size(config)
    return batch, config.planned_epochs, planned_warmup(config), training_precision(config)


def test_every_log_is_described(corpus):
    seen = 0
    for path in sorted((corpus / "trainer_state").iterdir()):
        try:
            state = read_trainer_state(path, None)
        except ArtifactError:
            continue
        batch, epochs, _, _ = described(recorded_config(None, None, state, None))
        assert epochs is None or 0 < epochs.value <= state.num_train_epochs, path.name
        assert batch.effective_low is None or 0 < batch.effective_low <= batch.effective_high
        seen += 1
    assert seen > 50


def test_every_arguments_file_is_described(corpus):
    seen = 0
    for path in sorted((corpus / "training_args").glob("*.bin")):
        arguments = read_training_args(path, None)
        config = recorded_config(None, arguments.values, None, None)
        batch, _, _, _ = described(config)
        assert config.learning_rate is not None, path.name
        assert batch.per_device is not None, path.name
        seen += batch.effective is not None
    assert seen > 15


@pytest.fixture(scope="module")
def catalogue():
    return {name: rule for name, rule in shipped_rules().items() if rule.family == "CFG"}


def test_no_public_checkpoint_is_accused(corpus, catalogue):
    judged = 0
    for folder in sorted((corpus / "checkpoints").iterdir()):
        judge = judge_of(Subject(folder, folder.name), AuditOptions(), catalogue, Policy())
        for rule in catalogue.values():
            result = judge.result(rule)
            assert result.outcome.value in {"passed", "no_evidence"}, (folder.name, result)
            judged += result.outcome.value == "passed"
    assert judged
