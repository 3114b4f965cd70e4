"""Trains the three demonstration runs on the tiny base, evaluates each and audits them all.

    python -m colintern.demo.runs --output-dir colintern/assets/demo

remakes the runs that ship with the package. `healthy` is the recipe `tiny`; `guide-as-written` has
the guide's list of globs as LoRA targets; `poor-settings` has one epoch and a batch of two.
"""

import argparse
import contextlib
import logging
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.run.layout import RUN_MANIFEST
from colintern.artifacts.run.manifest import RunManifest, read_run_manifest
from colintern.artifacts.writing import write_json
from colintern.demo.table import demo_figures, run_figures, table_text
from colintern.evaluation.pages import evaluate_pages, is_evaluated
from colintern.recipes.named import guide_as_written, poor_settings, tiny
from colintern.recipes.recipe import Recipe
from colintern.training.run import train

RUNS: Final[dict[str, Callable[[], Recipe]]] = {
    "healthy": tiny,
    "guide-as-written": guide_as_written,
    "poor-settings": poor_settings,
}
"""Folder name and recipe of each run."""

_QUICK: Final[dict[str, Any]] = {"train_pairs": 1024, "warmup_steps": 20, "logging_steps": 4}
"""A run that only shows the way: too short to learn in."""
_QUICK_EPOCHS: Final = 5
"""What the guide calls critical; a recipe with fewer keeps its own."""

_UNNEEDED: Final = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "README.md")
"""What a checkpoint is resumed from, and a card of PEFT that names the path of its base."""

_NO_VERDICT: Final = 2
"""Exit codes of the audit from here on: interrupted, broken, a wrong command line."""

logger = logging.getLogger(__name__)


class DemoError(ValueError):
    """A folder that holds something else, or an audit that broke."""


def demo_recipe(name: str, *, quick: bool = False) -> Recipe:
    """Return the recipe of the run `name`; a quick one is a tenth of it."""
    recipe = RUNS[name]()
    if not quick:
        return recipe
    epochs = min(recipe.num_train_epochs, _QUICK_EPOCHS)
    return replace(recipe, num_train_epochs=epochs, **_QUICK)


def make_demo(folder: Path, *, quick: bool = False) -> str | None:
    """Make all runs in `folder` and audit them; what is finished already is kept.

    Returns:
        The table that shows them side by side; None when a signal ended a run, which is saved.

    Raises:
        DemoError: the folder holds other runs, or the audit broke.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(RUNS, start=1):
        recipe = demo_recipe(name, quick=quick)
        logger.info("\n%d of %d: %s, recipe %s", number, len(RUNS), name, recipe.name)
        if not _finish_run(folder, name, recipe):
            return None
    logger.info("\naudit of all %d", len(RUNS))
    figures = demo_figures(folder, list(RUNS), _audited(folder))
    write_json(folder / "demo.json", figures)
    return table_text(figures)


def _finish_run(folder: Path, name: str, recipe: Recipe) -> bool:
    """Train and evaluate as far as that is not done yet; False when a signal came."""
    # The run records its output folder: relative, it is the same on every machine.
    with contextlib.chdir(folder):
        run = Path(name)
        manifest = _manifest(run)
        if manifest is not None and not _is_of(manifest, recipe):
            raise DemoError(
                f"{folder / name} must hold a run of the recipe {recipe.name} as it is now, but it "
                "holds another; choose another --output-dir"
            )
        if manifest is not None and manifest.status == "completed":
            logger.info("is trained already")
        elif not train(recipe, run, resume=run.exists()):
            return False
        if not is_evaluated(run, run / "results"):
            logger.info("evaluated: NDCG@5 %.3f", evaluate_pages(run, run / "results"))
    return True


def _manifest(run: Path) -> RunManifest | None:
    try:
        return read_run_manifest(run / RUN_MANIFEST, None)
    except ArtifactError:
        return None


def _is_of(manifest: RunManifest, recipe: Recipe) -> bool:
    arguments, data = manifest.arguments or {}, manifest.datasets or ()
    found = (manifest.recipe, arguments.get("num_train_epochs"), [each.rows for each in data])
    return found == (recipe.name, recipe.num_train_epochs, [recipe.train_pairs])


def _audited(folder: Path) -> Path:
    """Audit the runs in a process of their own, as a user would, and return the JSON of it."""
    reports = {"--html": "audit.html", "--audit-json": "audit.json"}
    options = [f"{option}={name}" for option, name in reports.items()]
    done = subprocess.run(  # noqa: S603 - this interpreter, fixed words
        [sys.executable, "-m", "colintern", "audit", *RUNS, *options],
        cwd=folder,
        env=os.environ | {"PYTHONSAFEPATH": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode >= _NO_VERDICT:
        raise DemoError(f"the audit of {folder} broke: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    (folder / "audit.txt").write_text(done.stdout, encoding="utf-8")
    return folder / "audit.json"


def make_bundled_run(name: str, folder: Path) -> float:
    """Train and evaluate the run `name` of `RUNS` into `folder / name`, replacing what is there.

    Returns:
        NDCG@5 on the benchmark `pages`.

    Raises:
        DemoError: a signal came.
    """
    folder.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(folder / name, ignore_errors=True)
    if not _finish_run(folder, name, demo_recipe(name)):
        raise DemoError(f"{name} was interrupted; nothing of it is to be shipped")
    for checkpoint in (folder / name).glob("checkpoint-*"):
        for unneeded in _UNNEEDED:
            (checkpoint / unneeded).unlink(missing_ok=True)
    return float(run_figures(folder / name)["NDCG@5"])


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
        score = make_bundled_run(name, arguments.output_dir.resolve())
        logger.info("%s: NDCG@5 %.3f after %.0f s", name, score, time.monotonic() - started)


if __name__ == "__main__":
    main()
