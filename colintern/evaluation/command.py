"""`colintern evaluate` and `vidore-eval`: from the command line to a folder of results."""

import logging
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import click

from colintern.artifacts.printable import printable
from colintern.artifacts.results_search import GUIDE_RESULTS

FAILED: Final = 1
"""Exit code when a task failed; the results of the others are there."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line asked for."""

    model: str
    benchmarks: tuple[str, ...]
    batch_size: int
    results: Path
    data: Path | None
    device: str | None
    base: str | None
    family: str | None

    @classmethod
    def of(cls, model: str, options: Mapping[str, Any]) -> "Settings":
        """Take the options that both commands have."""
        return cls(
            model=model,
            benchmarks=tuple(options["benchmarks"]) + tuple(options["more"]),
            batch_size=options["batch_size"],
            results=Path(options["results_dir"] or GUIDE_RESULTS),
            data=Path(options["data_dir"]).expanduser() if options["data_dir"] else None,
            device=options["device"],
            base=options["base"],
            family=options["family"],
        )


def prepare_environment() -> None:
    """Quieten the libraries, before they are imported."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    warnings.filterwarnings("ignore", message="Could not find a config file")
    warnings.filterwarnings("ignore", message="`is_gradient_checkpointing` is deprecated")
    warnings.filterwarnings("ignore", message="The task '.*' is superseded")


def run_evaluation(settings: Settings, adapt: Callable[[Any], Any] | None = None) -> int:
    """Evaluate on every task that is not finished, and print the summary.

    Args:
        settings: what to evaluate on what.
        adapt: makes the MTEB model of a loaded retriever; by default the wrapper.

    Returns:
        The exit code.

    Raises:
        click.ClickException: a mistake of the user's, or a checkpoint that cannot be loaded.
    """
    from colintern.evaluation.checkpoint import (  # noqa: PLC0415 - slow imports
        CheckpointError,
        find_checkpoint,
    )
    from colintern.evaluation.results import ResultsFolder  # noqa: PLC0415
    from colintern.evaluation.task_names import (  # noqa: PLC0415
        DEFAULT_BENCHMARKS,
        UnknownNameError,
        chosen_tasks,
        closed_tasks,
    )

    names = settings.benchmarks or DEFAULT_BENCHMARKS
    try:
        checkpoint = find_checkpoint(settings.model, base=settings.base, family=settings.family)
        tasks = chosen_tasks(names, settings.data)
        if closed := closed_tasks(names):
            click.echo(f"not evaluated, because their data is closed: {', '.join(closed)}")
        folder = ResultsFolder(settings.results / checkpoint.name)
        failures = _evaluate(settings, checkpoint, folder, tasks, adapt)
    except UnknownNameError as error:
        raise click.UsageError(str(error)) from error
    except CheckpointError as error:
        raise click.ClickException(str(error)) from error
    return _report(folder, failures, settings)


def _evaluate(
    settings: Settings,
    checkpoint: Any,
    folder: Any,
    tasks: Sequence[Any],
    adapt: Callable[[Any], Any] | None,
) -> dict[str, str]:
    """Return task name to reason, for every task that failed."""
    from colintern.evaluation.results import evaluation_record  # noqa: PLC0415 - slow imports
    from colintern.evaluation.retriever import load_retriever  # noqa: PLC0415
    from colintern.evaluation.task_run import is_finished  # noqa: PLC0415
    from colintern.evaluation.wrapper import ColIntern3_5Wrapper  # noqa: PLC0415

    kept = folder.is_of(checkpoint.weights_sha256)
    if kept and all(is_finished(task, folder) for task in tasks):
        click.echo("all tasks are finished; nothing is evaluated again")
        return {}
    retriever = load_retriever(checkpoint, device=settings.device)
    moved = folder.start(evaluation_record(retriever))
    if moved is not None:
        click.echo(f"results of other weights or settings were moved to {printable(moved)}")
    model = (adapt or ColIntern3_5Wrapper)(retriever)
    failures: dict[str, str] = {}
    for task in tasks:
        if is_finished(task, folder):
            click.echo(f"{task.metadata.name}: finished before, kept")
        elif reason := _failure(task, model, folder, settings):
            failures[task.metadata.name] = reason
    folder.finish()
    return failures


def _failure(task: Any, model: Any, folder: Any, settings: Settings) -> str | None:
    from colintern.evaluation.task_run import run_task  # noqa: PLC0415 - slow imports

    click.echo(f"{task.metadata.name}: evaluating")
    try:
        run_task(task, model, folder, batch_size=settings.batch_size, data=settings.data)
    except Exception as error:
        logging.getLogger(__name__).debug("%s failed", task.metadata.name, exc_info=True)
        return f"{type(error).__name__}: {error}"
    return None


def _report(folder: Any, failures: Mapping[str, str], settings: Settings) -> int:
    from colintern.evaluation.summary import summary_of  # noqa: PLC0415 - after the work

    click.echo(f"\n{summary_of(folder.path)}\n")
    for name, reason in failures.items():
        click.echo(f"FAILED {name}: {printable(reason, limit=2_000)}", err=True)
    click.echo(
        f"results in {printable(folder.path)}; "
        f"`colintern audit {printable(settings.model)} --results {printable(settings.results)}`"
    )
    return FAILED if failures else 0
