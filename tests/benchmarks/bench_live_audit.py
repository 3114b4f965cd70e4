"""What the live audit costs of a training run: at most one per cent of its step time.

    python tests/benchmarks/bench_live_audit.py [--steps 100] [--logging-steps 10]

The seconds inside each of the callback's events are added up in the same run, beside the seconds of
all steps: two runs with and without it differ by more than a per cent for other reasons. The first
look, before the first step, is told apart: it imports the rules once a run.
"""

# ruff: noqa: T201 - a script

import argparse
import sys
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent.parent), str(Path(__file__).parent.parent.parent)]

import torch  # noqa: E402 - after the path
from support.live_runs import StopAt  # noqa: E402 - after the path

from colintern.recipes.named import tiny  # noqa: E402 - after the path
from colintern.training.audit_callback import AuditCallback  # noqa: E402 - after the path
from colintern.training.run import train  # noqa: E402 - after the path

LIMIT = 0.01
ONCE = ("on_train_begin", "on_train_end")
EVENTS = ("on_step_begin", "on_pre_optimizer_step", "on_step_end", "on_log", "on_save")


class TimedAudit(AuditCallback):
    """The callback with a clock about each event."""

    def __init__(self):
        super().__init__()
        self.seconds = defaultdict(float)
        self.began = None
        for event in (*ONCE, *EVENTS):
            setattr(self, event, self.timed(event, getattr(self, event)))

    def timed(self, event, method):
        def call(*arguments, **more):
            began = time.perf_counter()
            result = method(*arguments, **more)
            self.seconds[event] += time.perf_counter() - began
            if event == "on_train_begin":
                self.began = time.perf_counter()
            return result

        return call


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--logging-steps", type=int, default=10)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    audit = TimedAudit()
    recipe = replace(
        tiny(),
        logging_steps=options.logging_steps,
        eval_steps=None,
        arguments={"use_cpu": True, "disable_tqdm": True},
    )
    with tempfile.TemporaryDirectory() as folder:
        train(recipe, Path(folder) / "run", callbacks=[StopAt(options.steps)], audit=audit)
        whole = time.perf_counter() - audit.began
    spent = sum(audit.seconds[event] for event in EVENTS)
    for event in (*ONCE, *EVENTS):
        print(f"{event:22} {audit.seconds[event]:.4f} s")
    print(f"{spent / options.steps * 1e3:.2f} ms of {whole / options.steps * 1e3:.0f} ms a step")
    print(f"share of step time {spent / whole:.2%}, at most {LIMIT:.0%}")
    return int(spent / whole > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
