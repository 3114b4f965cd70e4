"""The study: made once, opened by every worker, and refused to a worker with other settings."""

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
import optuna
from msgspec import Struct
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.exceptions import DuplicatedStudyError, ExperimentalWarning
from optuna.pruners import BasePruner, MedianPruner
from optuna.storages import BaseStorage
from optuna.study import Study

from colintern.artifacts.printable import printable
from colintern.recipes.params import ACCUMULATION, Value
from colintern.recipes.recipe import Recipe
from colintern.search.sampler import make_sampler
from colintern.search.space import Parameter, Space, starting_point

SETTINGS: Final = "colintern_settings"
"""Attribute of a study: what its trials have in common."""

_FOLLOWING: Final = frozenset({"lora.alpha", ACCUMULATION})
"""What follows the parameters of a trial, unless the command line gives it."""
_GIVEN: Final = "values of the command line that follow no parameter"

_STARTUP_TRIALS: Final = 4
"""Completed trials before any is pruned."""
_WARMUP_SHARE: Final = 0.4
"""Of a run, before it may be pruned: until then a longer warm-up is a handicap that passes."""

logger = logging.getLogger(__name__)


class StudyError(ValueError):
    """A study that these trials do not belong to."""


class SearchPlan(Struct, frozen=True, kw_only=True):
    """What all trials of a study have in common."""

    recipe: Recipe
    space: Space
    evaluations: int
    """Measurements of NDCG@5 in the course of a trial, the last one at its end."""
    given: frozenset[str] = frozenset()
    """Names of what the command line gives a value, which no trial changes."""


def open_study(
    storage: BaseStorage,
    name: str,
    plan: SearchPlan,
    *,
    num_trials: int,
    sampler_seed: int | None = None,
) -> Study:
    """Open the study `name`, or make it; the recipe as it is becomes its first trial.

    Raises:
        StudyError: it was made with other settings.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = make_sampler(num_trials, seed=sampler_seed)
    options: dict[str, Any] = {"sampler": sampler, "pruner": make_pruner(plan.evaluations)}
    settings = _settings(plan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        try:
            study = optuna.create_study(
                storage=storage, study_name=name, direction="maximize", **options
            )
        except DuplicatedStudyError:
            study = optuna.load_study(storage=storage, study_name=name, **options)
            _check_settings(study, settings)
            return study
        study.set_user_attr(SETTINGS, settings)
        point = starting_point(plan.space, plan.recipe)
        if point:
            study.enqueue_trial(point)
    return study


def make_pruner(evaluations: int) -> BasePruner:
    """Return what stops a trial that is below the median of the others at its share of the run."""
    return MedianPruner(
        n_startup_trials=_STARTUP_TRIALS, n_warmup_steps=round(evaluations * _WARMUP_SHARE)
    )


def suggested(trial: optuna.Trial, space: Space) -> dict[str, Value]:
    """Let the sampler choose a value for every parameter."""
    return {
        parameter.name: _suggest(trial, parameter.name, distribution_of(parameter))
        for parameter in space
    }


def distribution_of(parameter: Parameter) -> BaseDistribution:
    """Return a parameter as Optuna knows it."""
    if parameter.choices is not None:
        return CategoricalDistribution(parameter.choices)
    low, high = parameter.low, parameter.high
    if parameter.whole:
        step = int(parameter.step or 1)
        # Optuna warns of an interval that is no multiple of its step.
        last = int(low or 0) + (int(high or 0) - int(low or 0)) // step * step
        return IntDistribution(int(low or 0), last, log=parameter.log, step=step)
    return FloatDistribution(
        float(low or 0), _last(parameter), log=parameter.log, step=parameter.step
    )


def _last(parameter: Parameter) -> float:
    low, high = float(parameter.low or 0), float(parameter.high or 0)
    if parameter.step is None:
        return high
    return round(low + int((high - low) / parameter.step + 1e-9) * parameter.step, 12)


def _suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Value:
    value: Value
    if isinstance(distribution, CategoricalDistribution):
        value = trial.suggest_categorical(name, distribution.choices)
    elif isinstance(distribution, IntDistribution):
        value = trial.suggest_int(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    else:
        value = trial.suggest_float(
            name, distribution.low, distribution.high, step=distribution.step, log=distribution.log
        )
    return value


def _settings(plan: SearchPlan) -> dict[str, Any]:
    """Return what must be alike in all workers; where files lie may differ between machines."""
    recipe = msgspec.to_builtins(plan.recipe)
    recipe["base"] = Path(recipe["base"]).name
    if recipe["data"] is not None:
        recipe["data"]["source"] = Path(recipe["data"]["source"]).name
        del recipe["data"]["download"]
    flat = {**{key: value for key, value in recipe.items() if key != "lora"}}
    flat |= {f"lora.{key}": value for key, value in recipe["lora"].items()}
    space = {each.name: each.description() for each in plan.space}
    given = sorted(plan.given & _FOLLOWING)
    settings = {**flat, "search space": space, "evaluations": plan.evaluations, _GIVEN: given}
    alike: dict[str, Any] = json.loads(json.dumps(settings, default=str))
    return alike


def _check_settings(study: Study, settings: Mapping[str, Any]) -> None:
    before = study.user_attrs.get(SETTINGS)
    if before is None:
        # Its maker has not come so far, or died there.
        study.set_user_attr(SETTINGS, settings)
        return
    # A study of an earlier version has none.
    told = before if _GIVEN in before else {**before, _GIVEN: settings[_GIVEN]}
    names = [name for name in {**told, **settings} if told.get(name) != settings.get(name)]
    if names:
        name = names[0]
        raise StudyError(
            f"the study {study.study_name} was made with {printable(name)} "
            f"{printable(before.get(name))}, but now it is {printable(settings.get(name))}; "
            "pass what it was, or begin another study with --study or --output-dir"
        )
