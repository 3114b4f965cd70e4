"""Trains the three demonstration runs on the tiny base, and evaluates each.

    python -m colintern.training.demo --output-dir colintern/assets/demo

`healthy` is the recipe `tiny`; `guide-as-written` has the guide's list of globs as LoRA targets;
`poor-settings` has one epoch and a batch of two.
"""

import argparse
import contextlib
import logging
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch

from colintern.evaluation.pages import evaluate_pages
from colintern.training.recipes import Recipe, guide_as_written, poor_settings, tiny
from colintern.training.run import train

RUNS: Final[dict[str, Callable[[], Recipe]]] = {
    "healthy": tiny,
    "guide-as-written": guide_as_written,
    "poor-settings": poor_settings,
}
"""Folder name and recipe of each run."""

_UNNEEDED: Final = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "README.md")
"""What a checkpoint is resumed from, and a card of PEFT that names the path of its base."""

logger = logging.getLogger(__name__)


def make_demo_run(name: str, folder: Path) -> float:
    """Train and evaluate the run `name` of `RUNS` into `folder / name`, replacing what is there.

    Returns:
        NDCG@5 on the benchmark `pages`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # The run records its output folder: relative, it is the same on every machine.
    with contextlib.chdir(folder):
        run = Path(name)
        shutil.rmtree(run, ignore_errors=True)
        train(RUNS[name](), run)
        for checkpoint in run.glob("checkpoint-*"):
            for unneeded in _UNNEEDED:
                (checkpoint / unneeded).unlink(missing_ok=True)
        return evaluate_pages(run, run / "results")


def main() -> None:
    """Read the command line and make the runs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--output-dir", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("names", nargs="*", choices=[[], *RUNS], help="default: all three")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", force=True)
    torch.set_num_threads(arguments.threads)
    for name in arguments.names or RUNS:
        started = time.monotonic()
        score = make_demo_run(name, arguments.output_dir.resolve())
        logger.info("%s: NDCG@5 %.3f after %.0f s", name, score, time.monotonic() - started)


if __name__ == "__main__":
    main()
