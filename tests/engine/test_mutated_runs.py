"""A healthy run with one file mutated: never an error of ours, never a file passed that is none."""

import copy
import json
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from colintern.engine.catalogue import shipped_rules
from colintern.engine.outcome import Outcome
from colintern.engine.policy import Policy
from colintern.engine.providers import judge_of
from colintern.engine.subjects import AuditOptions, Subject

FINDINGS = (Outcome.FAILED, Outcome.WARNED)
JSON_FILES = (
    "adapter_config.json",
    "colintern_run.json",
    "processor_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "trainer_state.json",
)
FILES = (*JSON_FILES, "adapter_model.safetensors", "training_args.bin")
SEED = 7
MUTATIONS_A_FILE = 12


def outcomes(run):
    rules = {name: rule for name, rule in shipped_rules().items() if rule.family != "LIV"}
    judge = judge_of(Subject(run, "run"), AuditOptions(invocation_dir=run), rules, Policy())
    results = [judge.result(rule) for rule in rules.values()]
    assert [each.observed for each in results if each.outcome is Outcome.ERROR] == []
    assert all(each.observed.isprintable() for each in results)
    return {each.rule: each.outcome for each in results}


def accused(run):
    return {rule for rule, outcome in outcomes(run).items() if outcome in FINDINGS}


def replaced(make):
    def mutate(path):
        path.unlink()
        make(path)

    return mutate


def rewritten(change):
    return lambda path: path.write_bytes(change(path.read_bytes()))


DESTROYED = {
    "empty": rewritten(lambda _: b""),
    "half": rewritten(lambda content: content[: len(content) // 2]),
    "last bytes lost": rewritten(lambda content: content[:-4]),
    "zeros": rewritten(lambda content: bytes(len(content))),
    "other bytes": rewritten(lambda _: bytes(range(256)) * 4),
    "nested deep": rewritten(lambda _: b'{"a":' * 5_000 + b"1" + b"}" * 5_000),
    "another document": rewritten(lambda _: b"[]"),
    "a folder": replaced(os.mkdir),
    "a pipe": replaced(os.mkfifo),
    "a loop": replaced(lambda path: path.symlink_to(path.name)),
    "a link to nothing": replaced(lambda path: path.symlink_to("nowhere")),
    "a link outside": replaced(lambda path: path.symlink_to("/etc/passwd")),
}


@pytest.mark.parametrize("mutation", DESTROYED)
def test_destroyed_file_is_named(healthy_run, mutation):
    for name in FILES:
        run = healthy_run.parent / f"{name} {mutation}"
        shutil.copytree(healthy_run, run)
        DESTROYED[mutation](run / name)
        assert accused(run) & {"SEC001", "SEC003", "SEC004"}, name


def test_destroyed_file_of_an_old_checkpoint_is_named(healthy_run):
    for step in (100, 200):
        folder = healthy_run / f"checkpoint-{step}"
        folder.mkdir()
        for name in FILES:
            shutil.copy(healthy_run / name, folder)
    assert accused(healthy_run) <= {"ADP019"}
    for name in FILES:
        path = healthy_run / "checkpoint-100" / name
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        assert "SEC003" in accused(healthy_run), name
        path.write_bytes(content)


HARMLESS = {
    "Windows lines": rewritten(lambda content: content.replace(b"\n", b"\r\n")),
    "an unknown key": rewritten(lambda content: content.replace(b"{", b'{"unknown": [1], ', 1)),
    "a key twice": rewritten(lambda content: content.replace(b"{", b'{"z": 1, "z": 2, ', 1)),
    "space at the end": rewritten(lambda content: content + b" \n\n"),
    "on one line": rewritten(lambda content: json.dumps(json.loads(content)).encode()),
}


@pytest.mark.parametrize("mutation", HARMLESS)
def test_harmless_change_accuses_nobody(healthy_run, mutation):
    for name in JSON_FILES:
        HARMLESS[mutation](healthy_run / name)
    assert accused(healthy_run) == set()


VALUES = (
    *(None, True, 0, -1, 1.5, 10**30, -(10**400), 1e308, float("nan"), float("-inf")),
    *("", "x", "\ud800", "\x1b[31m", "a" * 5_000, "0" * 400, "2026-13-45T99:99:99Z"),
    *([], [[]], [None], [float("nan")], {}, {"": {}}, {"a": {"b": [1, {"c": None}]}}),
)


def places(document, place=()):
    """Yield the key's path of every value; of a long list only the first."""
    items = document.items() if isinstance(document, dict) else enumerate(document[:1])
    for key, value in items:
        yield (*place, key)
        if isinstance(value, dict | list):
            yield from places(value, (*place, key))


def mutated(document, place, value):
    changed = copy.deepcopy(document)
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    if value is ...:
        del inner[place[-1]]
    else:
        inner[place[-1]] = value
    return json.dumps(changed)


@pytest.mark.parametrize("name", JSON_FILES)
def test_any_value_is_judged_without_an_error(healthy_run, name):
    chance = random.Random(SEED)
    path = healthy_run / name
    document = json.loads(path.read_text())
    every = list(places(document))
    for _ in range(MUTATIONS_A_FILE):
        path.write_text(mutated(document, chance.choice(every), chance.choice((..., *VALUES))))
        outcomes(healthy_run)


WITHOUT_RIGHTS = """
import os, sys
from pathlib import Path
sys.path[:0] = {folders!r}
from test_mutated_runs import outcomes
# What is imported late must be there before the rights are gone.
outcomes(Path(sys.argv[1]))
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for run in map(Path, sys.argv[2:]):
    print(run.name, outcomes(run)["SEC003"].value)
"""


def test_file_without_permission_is_named(healthy_run, tmp_path_factory):
    shared = tmp_path_factory.mktemp("rights")
    for folder in (shared, *list(shared.parents)[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    runs = [shutil.copytree(healthy_run, shared / name) for name in (*FILES, "results")]
    shutil.copytree(healthy_run.parent / "base", shared / "base")
    for locked in (shared / "base", *(run / run.name for run in runs)):
        locked.chmod(0)
    folders = [str(folder) for folder in Path(__file__).parents[:3]]
    script = WITHOUT_RIGHTS.format(folders=folders)
    result = subprocess.run(
        [sys.executable, "-c", script, *map(str, (healthy_run, *runs))],
        check=True,
        capture_output=True,
        text=True,
    )
    assert result.stdout.splitlines() == [f"{run.name} failed" for run in runs]
