"""One attack after the other: a clear finding, in bounded time and memory, and nothing is run."""

import json
import os
import subprocess
import sys
import textwrap

import pytest
from builders.attacks import ATTACKED_RUNS, ATTACKS, MEGABYTES, POINTER, SECONDS
from builders.hostile import (
    EXECUTED,
    PAYLOADS,
)
from builders.training_args import write_training_args
from support.auditing import audit

READ = """
import resource, sys, time
from pathlib import Path

def peak():
    # Linux hands ru_maxrss of the parent down to a new process; VmHWM starts afresh.
    status = Path("/proc/self/status")
    if status.exists():
        lines = status.read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

from colintern.artifacts.errors import ArtifactError
from {module} import {reader} as read
start = time.process_time()
try:
    read({arguments})
    text = "no fault"
except ArtifactError as error:
    text = str(error)
print(text)
print(time.process_time() - start)
print(peak())
"""
READERS = {
    "json": ("json.document", "read_json_object", "Path(sys.argv[1]), None"),
    "log": ("logs.trainer_state", "read_trainer_state", "Path(sys.argv[1]), None"),
    "weights": ("tensors.store", "read_tensor_store", "Path(sys.argv[1]), None"),
    "arguments": ("run.training_args", "read_training_args", "Path(sys.argv[1]), None"),
}


def read_alone(reader, path):
    """Read in a process of its own: what it said, its processor seconds, its peak in megabytes."""
    module, name, arguments = READERS[reader]
    script = READ.format(module=f"colintern.artifacts.{module}", reader=name, arguments=arguments)
    result = subprocess.run(
        [sys.executable, "-c", script, str(path)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    text, seconds, megabytes = result.stdout.splitlines()
    return text, float(seconds), float(megabytes)


@pytest.mark.parametrize("name", ATTACKS)
def test_attack_is_bounded(tmp_path, name):
    reader, write, found = ATTACKS[name]
    suffix = "safetensors" if reader == "weights" else "json"
    path = tmp_path / f"attack.{suffix}"
    write(path)
    text, seconds, megabytes = read_alone(reader, path)
    assert text != "no fault"
    assert found in text
    assert text.isprintable()
    assert len(text) < 1_000
    assert seconds < SECONDS
    assert megabytes < MEGABYTES


def test_bounds_can_be_exceeded(tmp_path):
    # The probe of the test above must see what an unbounded reader takes.
    path = tmp_path / "attack.json"
    path.write_text("{}")
    script = READ.format(
        module="colintern.artifacts.json.document",
        reader="read_json_object",
        arguments="(b'x' * (600 << 20) and Path(sys.argv[1])), None",
    )
    result = subprocess.run(
        [sys.executable, "-c", script, str(path)], check=True, capture_output=True, text=True
    )
    assert float(result.stdout.splitlines()[2]) > MEGABYTES


@pytest.mark.parametrize("name", ATTACKED_RUNS)
def test_attacked_run_is_judged(pytester, healthy_run, name):
    rule, attack = ATTACKED_RUNS[name]
    attack(healthy_run)
    result = audit(pytester, "--checkpoint", healthy_run)
    assert result.exit_code == 1
    assert result.outcomes[rule] == "failed", result.output
    assert "error" not in result.outcomes.values(), result.output
    judged = [outcome for outcome in result.outcomes.values() if outcome == "passed"]
    assert len(judged) > 5, result.output
    assert not list(pytester.path.rglob(EXECUTED))
    assert not os.path.exists(EXECUTED)  # noqa: PTH110 - the current folder, whatever it is


@pytest.mark.parametrize("content", [POINTER, b"\x80\x02X\xff", b"no pickle"])
def test_broken_pickle_is_one_finding(pytester, healthy_run, content):
    (healthy_run / "training_args.bin").write_bytes(content)
    result = audit(pytester, "--checkpoint", healthy_run, "--select", "SEC")
    assert result.outcomes["SEC003"] == "failed"
    assert result.outcomes["SEC001"] == "blocked"
    assert result.of_outcome("passed") == ["SEC002", "SEC004"]


HOSTILE_TEXT = "a\x1b[31m\x9b\u202e<script>alert(1)</script>\ud800"


def test_hostile_text_is_escaped(pytester, healthy_run):
    write_training_args(healthy_run, run_name=HOSTILE_TEXT, learning_rate=HOSTILE_TEXT)
    name = os.fsdecode(b"a\x1b[31m\xff\xe2\x80\xae.bin")
    (healthy_run / name).write_bytes(PAYLOADS["os.system"])
    result = audit(pytester, "--checkpoint", healthy_run)
    assert result.outcomes["SEC001"] == "failed"
    assert all(char.isprintable() or char == "\n" for char in result.output), result.output
    assert HOSTILE_TEXT not in json.dumps(result.document, ensure_ascii=False)


def test_probe_script_is_python():
    compile(textwrap.dedent(READ.format(module="a", reader="b", arguments="")), "probe", "exec")


def test_unsafe_run_comes_before_runs_with_more_faults(pytester, healthy_run):
    ATTACKED_RUNS["pickle os.system"][1](healthy_run)
    result = audit(pytester, "--checkpoint", "demo:poor-settings", "--checkpoint", healthy_run)
    table = [line.split()[1] for line in result.output.splitlines() if line.startswith("fail  ")]
    assert table == [healthy_run.name, "demo:poor-settings"], result.output


def test_every_unsafe_pickle_is_named(pytester, healthy_run):
    for name in ("optimizer.pt", "scheduler.pt"):
        (healthy_run / name).write_bytes(PAYLOADS["os.system"])
    result = audit(pytester, "--checkpoint", healthy_run, "--select", "SEC001")
    assert result.check("SEC001")["observed"].endswith("; also in scheduler.pt"), result.output
