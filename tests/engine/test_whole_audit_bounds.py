"""What a whole audit takes of processor and memory, on a huge log and on hostile folders."""

import json
import os
import shutil
import subprocess
import sys

import pytest
from builders.attacks import ATTACKED_RUNS, ATTACKS, MEGABYTES, SECONDS
from builders.training_log import training_log
from support.auditing import CHECKS

from colintern.artifacts import limits

LOG_ROWS = limits.LOG_ROWS
STEPS_AN_EVALUATION = 1_000
LOG_BYTES = 51_000_000

# A process of its own, so that only the audit counts among its children.
PROBE = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(code, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)
"""


COUNTS = 4
"""A busy machine slows the processor down: the best of so many counts."""


def measured(report, *folders):
    """Audit in one process: exit code, processor seconds, peak in megabytes, outcomes."""
    subjects = [part for folder in folders for part in ("--checkpoint", str(folder))]
    audit = [sys.executable, "-m", "pytest", str(CHECKS), "-p", "no:cacheprovider", *subjects]
    result = subprocess.run(
        [sys.executable, "-c", PROBE, *audit, f"--audit-json={report}"],
        check=True,
        capture_output=True,
        text=True,
        timeout=300,
        cwd=report.parent,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
    )
    code, seconds, megabytes = result.stdout.split()
    checks = json.loads(report.read_text())["checks"]
    return int(code), float(seconds), float(megabytes), checks


def write_huge_log(run):
    state = training_log(steps=2_000, logging_steps=10)
    last = {**state["log_history"][-1], "step": LOG_ROWS}
    rows = [row for step in range(1, LOG_ROWS + 1) for row in _rows(step)]
    body = ",\n      ".join([*rows, json.dumps(last)])
    state |= {"log_history": "ROWS", "max_steps": LOG_ROWS, "global_step": LOG_ROWS}
    text = json.dumps(state).replace('"ROWS"', f"[{body}]")
    path = run / "trainer_state.json"
    path.write_text(text + " " * max(0, LOG_BYTES - len(text)))


def _rows(step):
    share = step / LOG_ROWS
    place = f'"epoch": {5 * share:.6f}, "step": {step}'
    loss, rate = 2.4 - 1.6 * share**0.3, 7e-5 * min(1.0, share * 50) * (1 - share)
    norm = f'"grad_norm": 1.503217{step % 10}'
    yield f'{{{norm}, "learning_rate": {rate:.12g}, "loss": {loss:.6f}, {place}}}'
    if step % STEPS_AN_EVALUATION == 0:
        yield f'{{"eval_loss": {loss + 0.05:.6f}, {place}}}'


def test_huge_log_is_audited_in_bounds(healthy_run, tmp_path):
    write_huge_log(healthy_run)
    assert (healthy_run / "trainer_state.json").stat().st_size >= LOG_BYTES
    for _ in range(COUNTS):
        _, seconds, megabytes, checks = measured(tmp_path / "audit.json", healthy_run)
        if seconds < SECONDS:
            break
    outcomes = {check["rule"]: check["outcome"] for check in checks}
    assert outcomes["SEC003"] == outcomes["LOG007"] == outcomes["LOG008"] == "passed"
    judged = {check["rule"] for check in checks if check["outcome"] in {"passed", "warned"}}
    assert {"LOG001", "LOG005", "LOG006", "LOG012", "LOG017"} <= judged
    assert seconds < SECONDS
    assert megabytes < MEGABYTES


FILES = {"log": "trainer_state.json", "weights": "adapter_model.safetensors"} | {
    "arguments": "training_args.bin",
    "json": "colintern_run.json",
}
LARGEST = ("log of empty objects", "log of long numbers", "zip bomb", "header of arrays")


@pytest.fixture
def hostile_runs(healthy_run, tmp_path):
    def copy(name):
        return shutil.copytree(healthy_run, tmp_path / "hostile" / name.replace(" ", "-"))

    folders = []
    for name in LARGEST:
        reader, write, _ = ATTACKS[name]
        folders.append(copy(name))
        write(folders[-1] / FILES[reader])
    for name in ("pickle nested", "memo bomb", "JSON nested", "index that escapes", "sparse JSON"):
        folders.append(copy(f"run {name}"))
        ATTACKED_RUNS[name][1](folders[-1])
    return folders


def test_hostile_folders_are_audited_in_bounds(hostile_runs, tmp_path):
    for _ in range(COUNTS):
        code, seconds, megabytes, checks = measured(tmp_path / "audit.json", *hostile_runs)
        if seconds < SECONDS * 2:
            break
    assert code == 1
    assert "error" not in {check["outcome"] for check in checks}
    accused = {c["subject"] for c in checks if c["outcome"] == "failed" and c["family"] == "SEC"}
    assert len(accused) == len(hostile_runs)
    assert seconds < SECONDS * 2, "nine folders together"
    assert megabytes < MEGABYTES
