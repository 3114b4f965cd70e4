"""A trial: one real training, measured in its course, and ended early where that saves time."""

import contextlib
import gc
import logging
from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, Final

import optuna
import torch
from optuna.exceptions import UpdateFinishedTrialError
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from colintern.artifacts.printable import printable
from colintern.recipes.params import BATCH, Value, with_params
from colintern.recipes.recipe import Recipe
from colintern.search.held_out import METRIC, HeldOutRetrieval
from colintern.search.sampler import OUT_OF_MEMORY, batch_limit
from colintern.search.study import SearchPlan, suggested
from colintern.search.summary import value_text
from colintern.search.worker import Outcome
from colintern.training.faults import DataError, NotFiniteError
from colintern.training.preflight import DoesNotFitError
from colintern.training.run import train

RUN: Final = "run"
"""Attribute of a trial: the folder of its run, on the machine of its worker."""

_TOO_LARGE: Final = (
    "a batch of {} ran out of memory, and the search has no smaller one; "
    "give --space one, or pass --chunk-size or --gradient-checkpointing with another --study"
)

_MEMORY_TEXTS: Final = ("out of memory", "not enough memory", "can't allocate memory")
"""What torch says of GPUs and of CPUs, in RuntimeErrors of no class of their own."""

logger = logging.getLogger(__name__)


class TrialGoneError(RuntimeError):
    """Another worker has this trial now."""


class TrainedTrial:
    """The objective: trains with what the sampler suggests, and returns NDCG@5 at the end."""

    def __init__(self, plan: SearchPlan, folder: Path) -> None:
        """Train variants of the plan's recipe, each into a folder of its own below `folder`."""
        self._plan = plan
        self._folder = folder

    def __call__(self, trial: optuna.Trial, lost: Event) -> Outcome:
        """Do one trial; whatever happens to it is its outcome."""
        params = suggested(trial, self._plan.space)
        recipe = named(trial_recipe(self._plan, params), trial.number)
        limit = batch_limit(trial.study)
        if limit is not None and recipe.per_device_train_batch_size >= limit:
            if smallest_batch(self._plan) < limit:
                return Outcome("pruned", reason=f"a batch of {limit} ran out of memory before")
            return Outcome("broken", reason=_TOO_LARGE.format(limit))
        run, resume = self._run_of(trial)
        watcher = TrialWatcher(trial, self._plan.evaluations, lost)
        logger.info("\ntrial %d: %s", trial.number, params_text(params))
        try:
            return self._trained(trial, recipe, run, resume=resume, watcher=watcher)
        finally:
            _free_memory()

    def _run_of(self, trial: optuna.Trial) -> tuple[Path, bool]:
        """Return the trial's folder, and whether it holds the run of one that was interrupted."""
        before = trial.user_attrs.get(RUN)
        if isinstance(before, str) and Path(before).is_dir():
            return Path(before), True
        run = self._folder.resolve() / f"trial-{trial.number:04d}"
        trial.set_user_attr(RUN, str(run))
        return run, False

    def _trained(
        self,
        trial: optuna.Trial,
        recipe: Recipe,
        run: Path,
        *,
        resume: bool,
        watcher: "TrialWatcher",
    ) -> Outcome:
        try:
            finished = train(recipe, run, resume=resume, callbacks=[watcher])
        # Whatever goes wrong in a trial must not end the search.
        except Exception as error:  # noqa: BLE001 - as above
            batch = recipe.per_device_train_batch_size
            outcome = outcome_of(error, batch)
            logger.warning("trial %d %s: %s", trial.number, outcome.state, outcome.reason)
            if _is_out_of_memory(error):
                trial.set_user_attr(OUT_OF_MEMORY, batch)
            return outcome
        if not finished:
            return Outcome("interrupted")
        return Outcome("complete", value=watcher.final_value)


class TrialWatcher(TrainerCallback):
    """Measures NDCG@5 where the Trainer evaluates, reports it, and stops what is not promising."""

    def __init__(self, trial: optuna.Trial, evaluations: int, lost: Event) -> None:
        """Report to `trial`, by the share of the run: trials have runs of different lengths."""
        self.value: float | None = None
        """NDCG@5 at the last measurement of this process."""
        self._trial = trial
        self._evaluations = evaluations
        self._lost = lost
        self._measure: HeldOutRetrieval | None = None
        self._measured_step = -1
        self._pruned = ""

    @property
    def final_value(self) -> float | None:
        """NDCG@5 of the trained model; measured before it was interrupted, if it was at its end."""
        if self.value is not None:
            return self.value
        frozen = self._trial.study.get_trials(deepcopy=False)[self._trial.number]
        return frozen.intermediate_values.get(self._evaluations)

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """Stop at once when another worker has the trial.

        Raises:
            TrialGoneError: it has.
        """
        if self._lost.is_set():
            raise TrialGoneError

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Measure, report, and ask for a checkpoint to stop at where the trial is to be pruned."""
        if self._measure is None:
            rows = more["eval_dataloader"].dataset
            self._measure = HeldOutRetrieval(rows, more["processing_class"], args)
        self._take(state, more["model"])
        share = min(state.global_step / max(state.max_steps, 1), 1.0)
        step = max(1, round(share * self._evaluations))
        self._trial.report(self.value, step)
        if state.global_step < state.max_steps and self._trial.should_prune():
            self._pruned = f"NDCG@5 {self.value:.3f} after {share:.0%} was below the median"
            control.should_save = True

    def on_save(self, *_: Any, **__: Any) -> None:
        """Stop a pruned trial when it is saved.

        Raises:
            TrialPruned: it is.
        """
        if self._pruned:
            raise optuna.TrialPruned(self._pruned)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **more: Any
    ) -> None:
        """Measure the finished model, where the last evaluation was before the last step."""
        del args, control
        if self._measure is None or state.global_step < state.max_steps:
            return
        if self._measured_step != state.global_step:
            self._take(state, more["model"])
            self._trial.report(self.value, self._evaluations)

    def _take(self, state: TrainerState, model: Any) -> None:
        if self._measure is None:
            raise AssertionError
        self.value = self._measure.ndcg_at_5(model)
        self._measured_step = state.global_step
        last = state.log_history[-1] if state.log_history else {}
        if "eval_loss" not in last or last.get("step") != state.global_step:
            last = {"step": state.global_step, "epoch": state.epoch}
            state.log_history.append(last)
        last[f"eval_{METRIC}"] = self.value
        logger.info(
            "trial %d: NDCG@5 %.3f at step %d of %d",
            *(self._trial.number, self.value, state.global_step, state.max_steps),
        )


def trial_recipe(plan: SearchPlan, params: dict[str, Value]) -> Recipe:
    """Return the recipe of a trial: with its parameters, and evaluated at shares of the run."""
    recipe = with_params(plan.recipe, params, plan.given)
    evaluated = {"eval_strategy": "steps", "eval_steps": 1 / plan.evaluations}
    return replace(recipe, save_total_limit=1, arguments={**recipe.arguments, **evaluated})


def named(recipe: Recipe, number: int) -> Recipe:
    """Return `recipe` with the trial's number in the name of its run, for bars and loggers."""
    own = recipe.arguments.get("run_name")
    name = f"{own} trial {number}" if own else f"trial {number}"
    return replace(recipe, arguments={**recipe.arguments, "run_name": name})


def smallest_batch(plan: SearchPlan) -> float:
    """Return the smallest batch that the search may try."""
    for parameter in plan.space:
        if parameter.name == BATCH:
            numbers = [each for each in parameter.choices or () if isinstance(each, int)]
            return min(numbers) if numbers else parameter.low or 0
    return plan.recipe.per_device_train_batch_size


def params_text(params: dict[str, Value]) -> str:
    """Return parameters on one line."""
    return ", ".join(f"{name} {value_text(value)}" for name, value in params.items())


def outcome_of(error: Exception, batch: int) -> Outcome:
    """Return what became of a trial that ended with `error`."""
    if isinstance(error, TrialGoneError | UpdateFinishedTrialError):
        return Outcome("lost", reason="another worker has it now")
    if isinstance(error, optuna.TrialPruned):
        return Outcome("pruned", reason=str(error))
    if _is_out_of_memory(error):
        return Outcome("pruned", reason=f"a batch of {batch} ran out of memory")
    if isinstance(error, NotFiniteError):
        return Outcome("failed", reason=printable(error), by_params=True)
    if isinstance(error, DataError | OSError):
        return Outcome("broken", reason=printable(error))
    return Outcome("failed", reason=f"{type(error).__name__}: {printable(error)}")


def _is_out_of_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError | DoesNotFitError):
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and any(each in text for each in _MEMORY_TEXTS)


def _free_memory() -> None:
    gc.collect()
    if torch.cuda.is_available():
        with contextlib.suppress(RuntimeError):
            torch.cuda.empty_cache()
