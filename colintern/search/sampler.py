"""Optuna's sampler, which does not try batches that are known not to fit into memory."""

import warnings
from typing import Any, Final

from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial

from colintern.recipes.params import BATCH

OUT_OF_MEMORY: Final = "out_of_memory_batch"
"""Attribute of a trial: the batch that did not fit into memory."""


class MemorySampler(TPESampler):
    """TPE; a batch as large as one that ran out of memory becomes the next smaller one."""

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Sample the parameters that belong together."""
        params = super().sample_relative(study, trial, search_space)
        if BATCH in params:
            params[BATCH] = fitting_batch(study, params[BATCH], search_space[BATCH])
        return params

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Sample one parameter by itself."""
        value = super().sample_independent(study, trial, param_name, param_distribution)
        if param_name == BATCH:
            return fitting_batch(study, value, param_distribution)
        return value


def make_sampler(num_trials: int, *, seed: int | None = None) -> TPESampler:
    """Return a sampler that begins to learn after a third of few trials, or after ten."""
    with warnings.catch_warnings():
        # Two of its options are experimental in the versions before 5.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return MemorySampler(
            n_startup_trials=max(3, min(10, num_trials // 3)),
            multivariate=True,
            # Trials that other workers have not finished count as poor: nobody repeats them.
            constant_liar=True,
            seed=seed,
        )


def fitting_batch(study: Study, value: Any, distribution: BaseDistribution) -> Any:
    """Return `value`, or the largest batch below those that ran out of memory, if there is one."""
    limit = batch_limit(study)
    if limit is None or value < limit:
        return value
    return max((batch for batch in _values(distribution) if batch < limit), default=value)


def batch_limit(study: Study) -> int | None:
    """Return the smallest batch that ran out of memory; None when none did."""
    found = (each.user_attrs.get(OUT_OF_MEMORY) for each in study.get_trials(deepcopy=False))
    return min((batch for batch in found if isinstance(batch, int)), default=None)


def _values(distribution: BaseDistribution) -> list[int]:
    if isinstance(distribution, CategoricalDistribution):
        return [each for each in distribution.choices if isinstance(each, int)]
    if isinstance(distribution, IntDistribution):
        return list(range(distribution.low, distribution.high + 1, distribution.step))
    return []
