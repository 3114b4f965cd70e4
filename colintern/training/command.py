"""`colintern train`: from the command line to a plan, or to a run."""

import logging
import os
import sys
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import click

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.run.layout import RUN_MANIFEST
from colintern.artifacts.run.manifest import read_run_manifest
from colintern.engine.policy import Policy
from colintern.engine.settings import Settings, SettingsError, read_settings
from colintern.model.quiet_import import import_engine
from colintern.recipes.best import apply_best, read_best
from colintern.recipes.named import RECIPES, recipe_named
from colintern.recipes.overrides import (
    OverrideError,
    check_values,
    parsed_arguments,
    with_arguments,
    with_settings,
)
from colintern.recipes.recipe import DataSettings, Recipe
from colintern.training.faults import BadRowError, DataError, NotFiniteError

DEFAULT_RECIPE: Final = "guide_1b"

TERMINATED: Final = 143
"""Exit code of a run that a signal ended: 128 + SIGTERM."""

STOPPED: Final = 3
"""Exit code of a run that the live audit ended."""

_NEEDLESS_WARNINGS: Final = (
    "`(is_)?gradient_checkpointing(_kwargs)?` is deprecated",
    "Could not find a config file in",
)
"""transformers 5.23 on its own names and on PEFT's, and PEFT on a base that has a name instead of a
folder: nothing that the person at the command line could change."""

_DATA: Final = ("download", "on_bad_row", "eval_rows", "num_negatives", "negatives_column")


def run_training(options: Mapping[str, Any], flags: Sequence[str]) -> int:
    """Train, or print the plan.

    Returns:
        The exit code.

    Raises:
        click.ClickException: a mistake of the user, or a run that had to stop.
    """
    prepare_environment(download=options["download"])
    try:
        recipe = chosen_recipe(options, flags)
        if options["dry_run"]:
            from colintern.training.plan import plan_of  # noqa: PLC0415 - imports torch

            click.echo(plan_of(recipe, world_size=int(os.environ.get("WORLD_SIZE", "1"))))
            return 0
        return _train(recipe, options)
    except OverrideError as error:
        raise click.UsageError(str(error)) from error
    except ValueError as error:
        if _is_ours(error):
            raise click.UsageError(str(error)) from error
        raise


def chosen_recipe(options: Mapping[str, Any], flags: Sequence[str]) -> Recipe:
    """Return the recipe with everything that the command line changes.

    Raises:
        OverrideError: a flag, key or name that does not exist.
    """
    recipe = _starting_recipe(options)
    if not options["peft"]:
        raise OverrideError("only LoRA is trained; --peft cannot be switched off")
    if options["base"]:
        recipe = replace(recipe, base=options["base"])
    recipe = _with_data(recipe, options)
    values = parsed_arguments(flags)
    for option, name in (("lr", "learning_rate"), ("batch", "per_device_train_batch_size")):
        if options[option] is not None:
            if name in values:
                raise OverrideError(f"{name} is given twice")
            values[name] = options[option]
    if options["chunk_size"] is not None:
        recipe = replace(recipe, chunk_size=options["chunk_size"])
    recipe = with_settings(with_arguments(recipe, values), options["settings"])
    check_values(recipe)
    return recipe


def _starting_recipe(options: Mapping[str, Any]) -> Recipe:
    """Return the recipe that was named, with parameters that a search found, if any."""
    name = options["recipe"]
    if options.get("params") is None:
        return recipe_named(name or _recipe_of_the_run(options) or DEFAULT_RECIPE)
    path = Path(options["params"])
    return apply_best(read_best(path), recipe_named(name) if name else None, path)


def _recipe_of_the_run(options: Mapping[str, Any]) -> str | None:
    """Return the recipe of the run that is to go on, which need not be named again."""
    if not options.get("resume"):
        return None
    try:
        name = read_run_manifest(Path(options["output_dir"]) / RUN_MANIFEST, None).recipe
    except ArtifactError:
        return None
    return name if name in RECIPES else None


def _with_data(recipe: Recipe, options: Mapping[str, Any]) -> Recipe:
    given = {name: options[name] for name in _DATA if options[name] not in (None, False)}
    if options["dataset"]:
        return replace(recipe, data=DataSettings(source=options["dataset"], **given))
    if recipe.data is not None:
        return replace(recipe, data=replace(recipe.data, **given))
    needless = {name for name in given if name != "download"}
    if needless:
        raise OverrideError(f"--{min(needless).replace('_', '-')} needs --dataset")
    return recipe


def prepare_environment(*, download: bool) -> None:
    """Set what libraries read once when they are imported, and how messages are shown."""
    # Nothing is fetched unasked.
    if not download:
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    for message in _NEEDLESS_WARNINGS:
        warnings.filterwarnings("ignore", message=message)


def _train(recipe: Recipe, options: Mapping[str, Any]) -> int:
    import_engine()
    from colintern.training.audit_callback import AuditCallback, AuditStopError  # noqa: PLC0415 - as below
    from colintern.training.run import train  # noqa: PLC0415 - imports torch

    folder, settings = Path(options["output_dir"]), _settings()
    audit = AuditCallback(
        stop_on=options["stop_on"],
        guide=settings.guide,
        policy=Policy(waivers=settings.waivers),
    )
    try:
        finished = train(recipe, folder, resume=options["resume"], audit=audit)
    except AuditStopError as error:
        if os.environ.get("RANK", "0") == "0":
            click.echo(f"Error: {error}; go on with --resume --stop-on never", err=True)
        return STOPPED
    except (BadRowError, NotFiniteError) as error:
        raise click.ClickException(str(error)) from error
    except OSError as error:
        raise click.ClickException(f"{error}; {_next_step(recipe, folder, error)}") from error
    if os.environ.get("RANK", "0") == "0":
        done = f"trained; `colintern audit {folder}`" if finished else "saved"
        click.echo(f"{folder}: {done}")
    return 0 if finished else TERMINATED


def _settings() -> Settings:
    """Return the thresholds and waivers of the project that the user is in."""
    try:
        return read_settings(Path.cwd())
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


def _next_step(recipe: Recipe, folder: Path, error: OSError) -> str:
    if folder.exists():
        return f"go on with --resume --output-dir {folder}"
    if isinstance(error.filename, str) and Path(error.filename).is_relative_to(folder):
        return "it cannot be written; choose another --output-dir"
    return f"{recipe.base} is not here: --base names a folder, --download fetches it"


def _is_ours(error: ValueError) -> bool:
    """Whether `error` is one of this project's, written for the person at the command line."""
    return isinstance(error, DataError) or type(error).__module__.startswith("colintern.")
