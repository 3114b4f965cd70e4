"""`colintern search`: from the command line to a study, its best parameters and its page."""

import logging
import os
import shlex
import signal
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from colintern.artifacts.printable import printable
from colintern.model.quiet_import import import_engine
from colintern.recipes.overrides import OverrideError, parsed_arguments
from colintern.recipes.params import BATCH, WARMUP_RATIO, ParamsError
from colintern.recipes.recipe import Recipe
from colintern.search.space import Space, default_space, read_space
from colintern.training.command import TERMINATED, chosen_recipe, prepare_environment

DEFAULT_FOLDER: Final = "runs/search"
logger = logging.getLogger(__name__)

_HIDDEN_FLAG: Final = "__hub_token"
_TRIAL_FOLDERS: Final = "trial-*"


def run_search(options: Mapping[str, Any], flags: Sequence[str]) -> int:
    """Search, and print the study.

    Returns:
        The exit code.

    Raises:
        click.ClickException: a mistake of the user, or a search that had to stop.
    """
    prepare_environment(download=options["download"])
    logger.info("colintern search: loading torch and the training stack ...")
    # Before torch: without the extra, the message comes at once.
    from optuna.exceptions import OptunaError  # noqa: PLC0415
    from sqlalchemy.exc import SQLAlchemyError  # noqa: PLC0415

    import_engine()
    from colintern.search.session import SearchSession  # noqa: PLC0415 - imports torch
    from colintern.search.storage import StorageError  # noqa: PLC0415 - as above
    from colintern.search.study import SearchPlan, StudyError  # noqa: PLC0415 - as above
    from colintern.search.worker import SearchError  # noqa: PLC0415 - as above

    _check_processes()
    try:
        recipe, given = _recipe(options, flags), _fixed(options, flags)
        space = _space(options, recipe, given)
        plan = SearchPlan(
            recipe=recipe, space=space, evaluations=options["evaluations"], given=given
        )
        session = SearchSession.open(plan, options, _repeated(options, flags))
    except (ParamsError, OverrideError, StorageError, StudyError) as error:
        raise click.UsageError(str(error)) from error
    except OSError as error:
        raise click.ClickException(str(error)) from error
    try:
        finished = _run(session, options["trials"])
    except SearchError as error:
        click.echo(session.report())
        raise click.ClickException(f"{error}; the same command goes on") from error
    except (OSError, OptunaError, SQLAlchemyError) as error:
        reason = printable(str(error).partition("\n")[0])
        raise click.ClickException(
            f"the study cannot be kept: {type(error).__name__}: {reason}; the same command goes on"
        ) from error
    click.echo(session.report())
    if not finished:
        click.echo("Stopped; the same command goes on.")
    return 0 if finished else TERMINATED


def _run(session: Any, num_trials: int) -> bool:
    """Work on the study; a signal between two trainings ends it as one within a training does."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    # Each run keeps its findings; here, every trial would repeat those about the common settings.
    findings = logging.getLogger("colintern.training.audit_callback")
    level = findings.level
    findings.setLevel(logging.CRITICAL)
    try:
        return bool(session.run(num_trials))
    except KeyboardInterrupt:
        return False
    finally:
        signal.signal(signal.SIGTERM, before)
        findings.setLevel(level)


def _recipe(options: Mapping[str, Any], flags: Sequence[str]) -> Recipe:
    recipe = chosen_recipe({**options, "params": None}, flags)
    data = recipe.data
    if data is not None and data.eval_split is None and not data.eval_rows:
        raise OverrideError(
            "trials are compared by NDCG@5 on held-out rows, but none are held out; "
            "pass --eval-rows 300"
        )
    # Evaluation is what trials are compared by: a recipe or a flag cannot switch it off.
    return replace(recipe, eval_steps=recipe.eval_steps or 1)


def _space(options: Mapping[str, Any], recipe: Recipe, fixed: frozenset[str]) -> Space:
    if options["space"] is None:
        return tuple(each for each in default_space(recipe) if each.name not in fixed)
    space = read_space(Path(options["space"]), recipe)
    for parameter in space:
        if parameter.name in fixed:
            raise ParamsError(
                f"{parameter.name} is searched by {options['space']}, but also given; "
                "leave one of them out"
            )
    return space


def _fixed(options: Mapping[str, Any], flags: Sequence[str]) -> frozenset[str]:
    """Return the names of what the command line gives a value: that is not searched."""
    names = {*parsed_arguments(flags)}
    settings = (setting.partition("=")[0].strip() for setting in options["settings"])
    names |= {name.replace("-", "_") for name in settings}
    of_their_own = {"lr": "learning_rate", "batch": BATCH, "chunk_size": "chunk_size"}
    names |= {name for option, name in of_their_own.items() if options[option] is not None}
    if "warmup_steps" in names:
        names.add(WARMUP_RATIO)
    return frozenset(names)


def _check_processes() -> None:
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise click.UsageError(
            "a worker of a search is one process; start one for each GPU with CUDA_VISIBLE_DEVICES,"
            " all with the same --output-dir or --storage, instead of torchrun"
        )


def _repeated(options: Mapping[str, Any], flags: Sequence[str]) -> tuple[str, ...]:
    """Return what `colintern train` has to be given beside the parameters to train the same."""
    names = {
        "lr": "--lr",
        "base": "--base",
        "dataset": "--dataset",
        "eval_rows": "--eval-rows",
        "negatives_column": "--negatives-column",
        "num_negatives": "--num-negatives",
        "on_bad_row": "--on-bad-row",
        "batch": "--contrastive-batch-size",
        "chunk_size": "--chunk-size",
    }
    given = [
        part
        for key, flag in names.items()
        if options[key] is not None
        for part in (flag, str(options[key]))
    ]
    settings = [part for setting in options["settings"] for part in ("--set", setting)]
    return (*given, *settings, *(["--download"] if options["download"] else []), *_shown(flags))


def _shown(flags: Sequence[str]) -> list[str]:
    """Return `flags` without the one that is a secret: they are written into files."""
    kept: list[str] = []
    secret = False
    for flag in flags:
        name, separator, _ = flag.replace("-", "_").partition("=")
        is_secret = name == _HIDDEN_FLAG
        if not secret and not is_secret:
            kept.append(flag)
        secret = is_secret and not separator
    return kept


def train_command(params: Path, flags: Sequence[str]) -> str:
    """Return the command that trains the winner."""
    words = ["colintern", "train", "--params", str(params), "--output-dir", "runs/best", *flags]
    return shlex.join(printable(word) for word in words)


def is_used(folder: Path) -> bool:
    """Whether `folder` has runs of trials."""
    return folder.is_dir() and any(folder.glob(_TRIAL_FOLDERS))
