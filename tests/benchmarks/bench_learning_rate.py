"""NDCG@5 of the recipe `tiny` at several learning rates: where its family's interval is from.

    python tests/benchmarks/bench_learning_rate.py [--rates 5e-4 1e-3 2e-3 4e-3 8e-3] [--base DIR]

Each rate is a whole run, about two minutes on one core. A run below the guide's 0.50
(good) at its rate is outside the interval.
"""

# ruff: noqa: T201 - a script

import argparse
import logging
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch

sys.path[:0] = [str(Path(__file__).parent.parent.parent)]

from colintern.evaluation.pages import evaluate_pages  # noqa: E402 - after the path
from colintern.recipes.named import tiny  # noqa: E402 - after the path
from colintern.training.run import train  # noqa: E402 - after the path


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rates", type=float, nargs="+", default=[5e-4, 1e-3, 2e-3, 4e-3, 8e-3])
    parser.add_argument("--base", default=tiny().base)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    torch.set_num_threads(options.threads)
    for rate in options.rates:
        recipe = replace(
            tiny(),
            base=options.base,
            learning_rate=rate,
            eval_steps=None,
            arguments={"disable_tqdm": True, "logging_steps": 200},
        )
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            train(recipe, Path(folder) / "run")
            score = evaluate_pages(Path(folder) / "run", Path(folder) / "results")
        print(f"{rate:g}: NDCG@5 {score:.3f}, {time.monotonic() - started:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
