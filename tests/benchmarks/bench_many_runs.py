"""What one more run costs an audit of many: time, memory, and what a second process saves.

    python tests/benchmarks/bench_many_runs.py [--runs 1000] [--rounds 3]

The runs are copies of the bundled healthy one. Every figure is of a whole process, files in the
page cache. Not part of the test run: machines differ, so only ratios within one run say anything.
"""
# ruff: noqa: T201 - a script

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
HEALTHY = REPOSITORY / "colintern" / "assets" / "demo" / "healthy"
COMMAND = [str(Path(sys.executable).with_name("colintern")), "audit"]
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}
MIB = 1 << 20


def timed(command):
    """Seconds of wall clock, and peak MiB of the largest process, of one run of `command`."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=ENVIRONMENT
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return time.perf_counter() - start, usage.ru_maxrss * 1024 / MIB


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(options.runs):
            shutil.copytree(HEALTHY, folder / "runs" / f"run-{number:05}")
        reports = [f"--audit-json={folder}/a.json", "--html", f"{folder}/a.html"]
        some = options.runs // 4
        contenders = {
            "1 run": [str(folder / "runs" / "run-00000")],
            f"{some} runs": [str(path) for path in sorted((folder / "runs").iterdir())[:some]],
            f"{options.runs} runs": [str(folder / "runs" / "*")],
            f"{options.runs} runs, -j 2": [str(folder / "runs" / "*"), "-j", "2"],
            f"{options.runs} runs, JSON and HTML": [str(folder / "runs" / "*"), *reports],
        }
        measured = {label: [] for label in contenders}
        for _ in range(options.rounds):
            for label, arguments in contenders.items():
                measured[label].append(timed([*COMMAND, *arguments]))
    one = statistics.median(seconds for seconds, _ in measured["1 run"])
    print(f"{'':32} median s   ms a further run   peak MiB")
    for label, values in measured.items():
        seconds = statistics.median(value[0] for value in values)
        number = int(label.split()[0])
        further = f"{(seconds - one) / (number - 1) * 1000:.1f}" if number > 1 else ""
        print(f"{label:32} {seconds:8.2f} {further:>18} {max(value[1] for value in values):10.0f}")
    alone, two = (
        statistics.median(value[0] for value in measured[f"{options.runs} runs{more}"])
        for more in ("", ", -j 2")
    )
    print(f"two processes take {two / alone:.2f} of the time of one")


if __name__ == "__main__":
    main()
