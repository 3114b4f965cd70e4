import ast
from dataclasses import replace

import pytest

from colintern.artifacts.run.manifest import SCHEMA, HardwareRecord, LoraRecord, RunManifest
from colintern.recipes.named import tiny
from colintern.training.final_model import model_card

HOSTILE = 'x"\n---\n# <script>alert(1)</script>\n```\n[a](javascript:b)'


def card(base="colintern/tiny-base", *, batch=64, max_steps=-1):
    manifest = RunManifest(
        schema=SCHEMA,
        arguments={"max_steps": max_steps},
        effective_batch_size=batch,
        candidates=64,
        lora=LoraRecord(matched=("a",), trainable_parameters=8),
        hardware=HardwareRecord(dtype="float32"),
    )
    return model_card(replace(tiny(), base=base), manifest)


@pytest.mark.parametrize(
    ("max_steps", "told"),
    [
        (-1, "| epochs | 5 of 6,400 pairs |"),
        (100, "| epochs | 1 of 6,400 pairs, by `max_steps` 100 |"),
        (1, "| epochs | 0.01 of 6,400 pairs, by `max_steps` 1 |"),
    ],
)
def test_the_epochs_are_those_that_were_trained(max_steps, told):
    assert told in card(max_steps=max_steps)


@pytest.mark.parametrize("base", ["./bases/a b", 'a"b', HOSTILE, "null", "a: b", "- a", "{x}"])
def test_the_name_of_the_base_stays_in_its_quotes(base):
    yaml = pytest.importorskip("yaml")
    text = card(base)
    front, body = text.removeprefix("---\n").split("\n---\n", 1)
    assert yaml.safe_load(front)["base_model"] == base
    assert yaml.safe_load(front)["library_name"] == "peft"
    assert sum(line.startswith("```") for line in body.splitlines()) == 2
    code = body.split("```python\n")[1].split("\n```")[0]
    calls = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    (named,) = [call for call in calls if getattr(call.func, "id", "") == "resolve_base"]
    assert ast.literal_eval(named.args[0]) == base


def test_a_usual_name_is_written_as_it_is():
    assert "\nbase_model: OpenGVLab/InternVL3_5-1B-HF\n" in card("OpenGVLab/InternVL3_5-1B-HF")
