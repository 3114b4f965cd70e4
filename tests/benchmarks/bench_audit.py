"""How long an audit takes, beside an empty pytest session and two peers, in turn in one run.

    python tests/benchmarks/bench_audit.py [--rounds 7]

The subject is a full-size LoRA of InternVL3.5-1B with a log of 10,000 rows and ten results. Every
figure is of a whole process, files in the page cache. Not part of the test run: machines differ, so
only ratios within one run say anything.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent
WRITE_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from builders.full_size_run import write_full_size_run
write_full_size_run(Path(sys.argv[2]), steps=10_000, logging_steps=1)
"""
"""In a process of its own: a child's peak memory counts what its parent held when it was forked."""

MIB = 1 << 20
# As on a user's machine: Python keeps compiled modules.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}


def timed(command, cwd):
    """Seconds of wall clock and peak MiB of one run of `command`."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=cwd, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - start, usage.ru_maxrss * 1024 / MIB, process.returncode


def number_of_checks(folder, run):
    report = folder / "audit.json"
    subprocess.run(
        [*PYTEST, str(REPOSITORY / "checks"), "--checkpoint", str(run), f"--audit-json={report}"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return len(json.loads(report.read_text())["checks"])


PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]


def contenders(folder, run):
    empty = folder / "test_empty.py"
    count = number_of_checks(folder, run)
    empty.write_text("".join(f"def test_{index}():\n    pass\n\n\n" for index in range(count)))
    binaries = Path(sys.executable).parent
    return {
        f"empty pytest session, {count} items": [*PYTEST, str(empty)],
        "the same without our plugin": [*PYTEST, "-p", "no:pytest_colintern.plugin", str(empty)],
        "pytest checks/ --checkpoint": [
            *PYTEST,
            str(REPOSITORY / "checks"),
            "--checkpoint",
            str(run),
        ],
        "colintern audit": [str(binaries / "colintern"), "audit", str(run)],
        "finetune-doctor (log only)": [str(binaries / "finetune-doctor"), str(run)],
        "adaptersentry (weights only)": [
            *(str(binaries / "adaptersentry"), "scan"),
            str(run / "adapter_model.safetensors"),
        ],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        run = folder / "run"
        written = [sys.executable, "-c", WRITE_RUN, str(REPOSITORY / "tests"), str(run)]
        subprocess.run(written, check=True)
        commands = contenders(folder, run)
        measured = {label: [] for label in commands}
        for _ in range(rounds + 1):
            for label, command in commands.items():
                measured[label].append(timed(command, folder))
    print_table({label: values[1:] for label, values in measured.items()})


def print_table(measured):
    empty = statistics.median(seconds for seconds, _, _ in next(iter(measured.values())))
    print(f"{'':34} median s   best s   x empty   peak MiB   exit")  # noqa: T201 - a script's output
    for label, values in measured.items():
        seconds = [value[0] for value in values]
        median, peak = statistics.median(seconds), max(value[1] for value in values)
        row = f"{label:34} {median:8.2f} {min(seconds):8.2f} {median / empty:9.2f} {peak:10.0f}"
        print(f"{row} {values[-1][2]:6}")  # noqa: T201 - a script's output


if __name__ == "__main__":
    main()
