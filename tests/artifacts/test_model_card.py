import time

import pytest
from builders.model_card import write_model_card, write_sentence_transformers_card
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.model.model_card import read_model_card
from colintern.facts.config_sources import recorded_config

SHARED_FOLDER = [HealthCheck.function_scoped_fixture]


def card(folder, text=None):
    if text is not None:
        (folder / "README.md").write_text(text)
    return read_model_card(folder / "README.md", None)


def test_trainer_card_gives_the_configuration(tmp_path):
    write_model_card(tmp_path, mixed_precision_training="Native AMP")
    config = recorded_config(None, None, None, card(tmp_path))
    assert config.num_train_epochs.value == 5
    assert config.train_batch_size.value == 16
    assert config.total_train_batch_size.value == 64
    assert config.world_size.value == 1
    assert config.planned_warmup_steps.value == 100
    assert config.fp16.value is True
    assert config.bf16 is None
    assert config.transformers.value == "5.23.0"
    assert {recorded.source for recorded in (config.fp16, config.learning_rate)} == {"README.md"}


def test_what_the_trainer_leaves_out_is_the_default(tmp_path):
    write_model_card(
        tmp_path,
        gradient_accumulation_steps=None,
        total_train_batch_size=None,
        lr_scheduler_warmup_steps=None,
    )
    config = recorded_config(None, None, None, card(tmp_path))
    assert config.gradient_accumulation_steps.value == 1
    assert config.planned_warmup_steps.value == 0


def test_card_without_hyperparameters_says_nothing(tmp_path):
    read = card(tmp_path, "---\nbase_model: gpt2\n---\n# Model\n- learning_rate: 1\n")
    assert (read.base_model, dict(read.hyperparameters)) == ("gpt2", {})
    assert recorded_config(None, None, None, read).gradient_accumulation_steps is None


def test_sentence_transformers_card(tmp_path):
    write_sentence_transformers_card(
        tmp_path,
        per_device_train_batch_size=16,
        bf16=False,
        warmup_ratio=0.1,
        warmup_steps=0,
        max_steps=-1,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        eval_strategy="epoch",
    )
    read = card(tmp_path)
    config = recorded_config(None, None, None, read)
    assert read.losses == ("MultipleNegativesRankingLoss",)
    assert config.per_device_train_batch_size.value == 16
    assert config.bf16.value is False
    assert config.max_steps is None
    assert config.gradient_checkpointing_kwargs.value == {"use_reentrant": False}


@pytest.mark.parametrize(
    ("text", "base", "tags"),
    [
        ("---\nbase_model: gpt2\ntags:\n- a\n- b\n---\n", "gpt2", ("a", "b")),
        ("---\nbase_model:\n- org/x\ntags: [a, 'b']\n---\n", "org/x", ("a", "b")),
        ('---\nbase_model: "a: b" \ntags: []\n---\n', "a: b", ()),
        ("---\r\nbase_model: gpt2 # the small one\r\n---\r\n", "gpt2", ()),
        ("---\nbase_model: null\nmodel:\n  base_model: nested\n---\n", None, ()),
        ("---\nbase_model: never closed\n", None, ()),
        ("# A title\n---\nbase_model: late\n---\n", None, ()),
        ("", None, ()),
    ],
)
def test_front_matter(tmp_path, text, base, tags):
    (tmp_path / "README.md").write_bytes(text.encode())
    read = card(tmp_path)
    assert (read.base_model, read.tags) == (base, tags)


@pytest.mark.parametrize(
    "text",
    [
        "---\n" + "tags:\n" * 100_000,
        "---\ntags:\n" + "- a\n" * 400_000 + "---\n",
        "- " * 1_500_000,
        "* Loss: [<code>" + "a." * 1_000_000,
        "### Framework versions\n" + ("- " + "a " * 900 + "\n") * 2_000,
        "---\ntags: [" + "," * 3_000_000 + "]\n---\n",
        "[" * 3_000_000,
        "\n" * 4_000_000,
    ],
)
def test_hostile_cards_take_no_time(tmp_path, text):
    start = time.process_time()
    card(tmp_path, text)
    assert time.process_time() - start < 2


def test_huge_card_is_refused(tmp_path):
    with (tmp_path / "README.md").open("wb") as stream:
        stream.truncate(limits.MODEL_CARD_BYTES + 1)
    with pytest.raises(ArtifactError, match="bytes"):
        card(tmp_path)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.binary(max_size=300))
def test_any_bytes_are_a_card(tmp_path, content):
    (tmp_path / "README.md").write_bytes(b"---\nbase_model: x\n" + content)
    recorded_config(None, None, None, card(tmp_path))
