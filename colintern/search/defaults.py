"""What is searched unless a file says otherwise, and where a search begins: around the recipe."""

from typing import Any, Final

from colintern.artifacts.errors import ArtifactError
from colintern.families.catalogue import family_named
from colintern.planning.architecture import ArchitectureError, find_architecture
from colintern.recipes.params import BATCH, WARMUP_RATIO, Value, value_in
from colintern.recipes.recipe import Recipe
from colintern.search.space import Parameter, Space

_RATE_FACTOR: Final = 2.0
"""Either way of the interval that suits the family, where it is narrow: as far as the audit says
nothing. Design 9."""
_TEMPERATURE_FACTOR: Final = 2.5
"""Either way of the recipe's: from colpali-engine's 0.02 to the tiny model's 0.05, and as far on
either side."""
_MOST_WARMUP: Final = 0.3
"""Of the run: the guide's rule wants less than a third."""
_LEAST_BATCH: Final = 2


def default_space(recipe: Recipe) -> Space:
    """Return the space around `recipe`: rate, rank, warm-up, temperature and batch."""
    low, high = _learning_rates(recipe)
    rank, batch, heat = recipe.lora.rank, recipe.per_device_train_batch_size, recipe.temperature
    batches = {each for each in (batch // 2, batch, batch * 2) if each >= _LEAST_BATCH}
    return (
        Parameter(name="learning_rate", low=low, high=high, log=True),
        Parameter(name="lora.rank", choices=tuple(sorted({max(rank // 2, 1), rank, rank * 2}))),
        Parameter(name=WARMUP_RATIO, low=0.0, high=_MOST_WARMUP, step=0.05),
        Parameter(
            name="temperature",
            low=_two_digits(heat / _TEMPERATURE_FACTOR),
            high=_two_digits(heat * _TEMPERATURE_FACTOR),
            log=True,
        ),
        Parameter(
            name=BATCH,
            choices=tuple(
                sorted(each for each in batches if each <= recipe.train_pairs or each == batch)
            ),
        ),
    )


def starting_point(space: Space, recipe: Recipe) -> dict[str, Value]:
    """Return what `recipe` itself has for the parameters of `space`, as far as it is inside."""
    point = {}
    for parameter in space:
        value = value_in(recipe, parameter.name)
        if parameter.name == WARMUP_RATIO:
            value = _warmup_ratio(recipe, parameter)
        if parameter.admits(value):
            point[parameter.name] = value
    return point


def _warmup_ratio(recipe: Recipe, parameter: Parameter) -> Any:
    steps = recipe.arguments.get("max_steps") or 0
    if steps <= 0:
        steps = recipe.train_pairs * recipe.num_train_epochs / recipe.effective_batch_size
    given = recipe.arguments.get("warmup_steps", recipe.warmup_steps)
    share = given if 0 < given < 1 else given / max(steps, 1)
    if parameter.low is None or parameter.high is None:
        return share
    step = parameter.step or 0.01
    inside = min(max(share, parameter.low), parameter.high)
    return round(parameter.low + round((inside - parameter.low) / step) * step, 10)


def _learning_rates(recipe: Recipe) -> tuple[float, float]:
    family = family_named(recipe.family)
    try:
        size = find_architecture(recipe.base).base_parameters
    except (ArchitectureError, ArtifactError, OSError):
        size = None
    interval = family.learning_rate_for(size) if family is not None else None
    rates = [recipe.learning_rate, *((interval.low, interval.high) if interval else ())]
    low, high = min(rates), max(rates)
    if high / low >= _RATE_FACTOR**2:
        return low, high
    return _two_digits(low / _RATE_FACTOR), _two_digits(high * _RATE_FACTOR)


def _two_digits(value: float) -> float:
    return float(f"{value:.2g}")
