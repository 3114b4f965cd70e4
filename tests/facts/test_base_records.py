from pathlib import Path

import pytest

from colintern.artifacts.model.base_model import find_base
from colintern.artifacts.results.evaluation_record import EvaluatedBase
from colintern.artifacts.run.manifest import BaseRecord
from colintern.facts.base_records import (
    base_records,
    is_other_model,
    named_base,
    same_model,
)

ID = "OpenGVLab/InternVL3_5-1B-HF"
OTHER = "Qwen/Qwen2-VL-2B-Instruct"
SAVED = "vidore/colqwen2-base"


def judged(
    *, trained=None, adapter=None, evaluated=None, card=(), here=None, revisions=(None, None)
):
    found = base_records(
        trained=BaseRecord(id=trained, revision=revisions[0])
        if isinstance(trained, str)
        else trained,
        adapter=find_base(adapter, None, None, (Path("/nowhere"),)) if adapter else None,
        adapter_revision=revisions[1],
        evaluated=EvaluatedBase(id=evaluated) if isinstance(evaluated, str) else evaluated,
        card=card,
        layers_here=here,
    )
    if not found.facts:
        return None
    return "agreed" if found.agreed else "error" if is_other_model(found) else "warning"


@pytest.mark.parametrize(
    ("text", "hub_id"),
    [
        (ID, ID),
        (f"https://huggingface.co/{ID}/", ID),
        ("/data/hub/models--OpenGVLab--InternVL3_5-1B-HF/snapshots/" + "a" * 40, ID),
        ("/data/InternVL3_5-1B-HF", None),
        ("./models/base", None),
        ("models/base", None),
        ("Outputs/run-3", None),
        ("gpt2", None),
        ("", None),
        (None, None),
    ],
)
def test_name_of_a_base_is_an_id_or_a_path(text, hub_id):
    assert named_base(text).hub_id == hub_id


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (ID, ID.lower(), True),
        ("unsloth/Qwen2-VL-2B-Instruct-unsloth-bnb-4bit", OTHER, True),
        ("OpenGVLab/InternVL3_5-1B", ID, True),
        ("OpenGVLab/InternVL3_5-2B-HF", ID, False),
        ("Qwen/Qwen2-VL-2B", OTHER, False),
    ],
)
def test_mirrors_of_a_model_are_that_model(first, second, same):
    assert same_model(first, second) is same_model(second, first) is same


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"trained": ID}, None),
        ({"trained": ID, "adapter": ID, "evaluated": ID, "card": (ID,)}, "agreed"),
        ({"trained": ID, "adapter": "/home/somebody/base"}, None),
        ({"trained": "/home/somebody/base", "adapter": ID}, None),
        ({"trained": "/a/base", "adapter": "/b/base"}, None),
        ({"trained": "models/base", "adapter": ID}, None),
        ({"trained": ID, "evaluated": "/moved/base"}, None),
        ({"trained": ID, "adapter": OTHER}, "error"),
        ({"adapter": ID, "evaluated": OTHER}, "error"),
        ({"adapter": ID, "card": (OTHER,)}, "warning"),
        ({"adapter": ID, "card": (OTHER, ID)}, "agreed"),
        ({"adapter": SAVED, "card": (OTHER,)}, "agreed"),
        ({"trained": ID, "adapter": ID, "revisions": ("a" * 40, "a" * 7)}, "agreed"),
        ({"trained": ID, "adapter": ID, "revisions": ("a" * 40, "main")}, "agreed"),
        ({"trained": ID, "adapter": ID, "revisions": ("a" * 40, "b" * 40)}, "warning"),
    ],
)
def test_names_of_the_base_are_compared(said, expected):
    assert judged(**said) == expected


def hashed(sha256, name="/base"):
    return BaseRecord(id=name, layers_sha256=sha256), EvaluatedBase(id=name, layers_sha256=sha256)


def test_hashes_decide_what_names_leave_open():
    trained, same = hashed("a" * 64)
    other = hashed("b" * 64)[1]
    assert judged(trained=trained, evaluated=same) == "agreed"
    assert judged(trained=trained, evaluated=other) == "error"
    assert judged(evaluated=other, here="b" * 64) == "agreed"
    assert judged(evaluated=other, here="a" * 64) == "error"
    # The manifest's hash beside the base here is judged by a rule of its own.
    assert judged(trained=trained, here="b" * 64) is None


def test_a_copy_of_the_same_layers_is_evaluated_under_any_name():
    trained, same = hashed("a" * 64, ID)
    copied = EvaluatedBase(id=OTHER, layers_sha256=same.layers_sha256)
    assert judged(trained=trained, evaluated=copied) == "warning"
    assert judged(trained=trained, adapter=OTHER, evaluated=copied) == "error"
