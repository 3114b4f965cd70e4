"""The search space: hyperparameters with the values that a study may try, from a file or default.

A file is TOML or JSON; each table is a hyperparameter under its name as in `--set`:

    [learning_rate]
    low = 1e-5
    high = 1e-4
    log = true

    [lora.rank]
    choices = [16, 32, 64]
"""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import read_bytes
from colintern.artifacts.printable import printable
from colintern.families.catalogue import family_named
from colintern.planning.architecture import ArchitectureError, find_architecture
from colintern.recipes.overrides import close_names
from colintern.recipes.params import (
    BATCH,
    WARMUP_RATIO,
    ParamsError,
    Value,
    as_number,
    kind_of,
    value_in,
    with_params,
)
from colintern.recipes.recipe import Recipe

MOST_PARAMETERS: Final = 50
MOST_CHOICES: Final = 100

_MOST_BYTES: Final = 1 << 20
_KEYS: Final = ("low", "high", "step", "log", "choices")

_RATE_FACTOR: Final = 2.0
"""Either way of the interval that suits the family, where it is narrow: as far as the audit says
nothing. Sources N07."""
_TEMPERATURE_FACTOR: Final = 2.5
"""Either way of the recipe's: from colpali-engine's 0.02 to the tiny model's 0.05, and as far on
either side."""
_MOST_WARMUP: Final = 0.3
"""Of the run: the guide's rule wants less than a third."""
_LEAST_BATCH: Final = 2


class Parameter(Struct, frozen=True, kw_only=True):
    """One hyperparameter, and the values that may be tried: an interval, or a list."""

    name: str
    low: float | int | None = None
    high: float | int | None = None
    step: float | int | None = None
    """Distance of values that may be tried; None: 1 for whole numbers, any other number."""
    log: bool = False
    """Try each order of magnitude equally often."""
    choices: tuple[Value, ...] | None = None
    whole: bool = False
    """Whether an interval is of whole numbers."""

    def admits(self, value: Any) -> bool:
        """Whether `value` may be tried."""
        if self.choices is not None:
            return value in self.choices
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or self.low is None or self.high is None:
            return False
        if self.step is not None:
            steps = (value - self.low) / self.step
            if abs(steps - round(steps)) > 1e-9:  # noqa: PLR2004 - rounding of a float
                return False
        return bool(self.low <= value <= self.high) and not (self.whole and value != int(value))

    def description(self) -> str:
        """Return the values in words."""
        if self.choices is not None:
            return ", ".join(printable(value, limit=40) for value in self.choices)
        by = f" by {self.step:g}" if self.step is not None else ""
        return f"{self.low:g} to {self.high:g}{by}{', logarithmic' if self.log else ''}"


Space = tuple[Parameter, ...]


def read_space(path: Path, recipe: Recipe) -> Space:
    """Read a search space, and check every value of it against `recipe`.

    Raises:
        ParamsError: not TOML or JSON, a name that does not exist, or values that cannot be tried.
    """
    try:
        space = _space(dict(_tables(_parsed(path))))
        for parameter in space:
            _check_ends(parameter, recipe)
    except ParamsError as error:
        raise ParamsError(f"{printable(path)}: {error}") from error
    return space


def _space(tables: Mapping[str, Any]) -> Space:
    if not tables:
        raise ParamsError("it names no hyperparameter")
    if len(tables) > MOST_PARAMETERS:
        raise ParamsError(
            f"at most {MOST_PARAMETERS} hyperparameters may be searched, but it has {len(tables)}"
        )
    return tuple(_parameter(name, table) for name, table in tables.items())


def _parsed(path: Path) -> Mapping[str, Any]:
    try:
        content = read_bytes(path, None, limit=_MOST_BYTES)
        text = content.decode("utf-8-sig")
        document = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ArtifactError as error:
        raise ParamsError(f"expected {error.expected}, found {error.found}") from error
    except (ValueError, RecursionError) as error:
        kind = "JSON" if path.suffix == ".json" else "TOML (JSON: name it .json)"
        raise ParamsError(f"must be {kind}, but it is not: {printable(error)}") from error
    if not isinstance(document, dict):
        raise ParamsError("must be a table of hyperparameters")
    return document


def _tables(document: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Give each parameter's table with its full name: TOML nests `[lora.rank]`."""
    for key, value in document.items():
        nested = isinstance(value, dict) and not prefix and key == "lora"
        if nested:
            yield from _tables(value, f"{key}.")
        else:
            yield prefix + key, value


def _parameter(name: str, table: Any) -> Parameter:
    kind = kind_of(name)
    if not isinstance(table, dict):
        raise ParamsError(
            f"{name} must be a table with low and high, or with choices, but it is "
            f"{printable(table)!r}"
        )
    for key in table:
        if key not in _KEYS:
            raise ParamsError(f"{name} has no key {printable(key)!r}{close_names(key, _KEYS)}")
    if "choices" in table:
        if len(table) > 1:
            raise ParamsError(f"{name} must have choices or an interval, but it has both")
        return Parameter(name=name, choices=_choices(name, table["choices"]))
    if kind == "other":
        raise ParamsError(f"{name} is no number: it needs choices")
    return _interval(name, table, whole=kind == "int")


def _choices(name: str, values: Any) -> tuple[Value, ...]:
    if not isinstance(values, list) or not 1 <= len(values) <= MOST_CHOICES:
        raise ParamsError(f"{name}.choices must be a list of 1 to {MOST_CHOICES} values")
    for value in values:
        if not isinstance(value, str | int | float):
            raise ParamsError(
                f"{name}.choices must be numbers, words or true/false, but one is "
                f"{printable(value)!r}"
            )
    if len(set(values)) < len(values):
        raise ParamsError(f"{name}.choices has a value twice")
    return tuple(values)


def _interval(name: str, table: Mapping[str, Any], *, whole: bool) -> Parameter:
    numbers: dict[str, Any] = {}
    for key in ("low", "high", "step"):
        if key not in table:
            continue
        numbers[key] = as_number(f"{name}.{key}", table[key], whole=whole)
    log = table.get("log", False)
    _check_interval(name, numbers, log)
    return Parameter(name=name, **numbers, log=log, whole=whole)


def _check_interval(name: str, numbers: Mapping[str, Any], log: object) -> None:
    absent = [key for key in ("low", "high") if key not in numbers]
    if absent:
        raise ParamsError(f"{name} must have {absent[0]}, or choices")
    low, high, step = numbers["low"], numbers["high"], numbers.get("step")
    if not isinstance(log, bool):
        raise ParamsError(f"{name}.log must be true or false, but it is {printable(log)!r}")
    if low >= high:
        raise ParamsError(f"{name}.low must be below high, but they are {low} and {high}")
    if log and low <= 0:
        raise ParamsError(f"{name}.low must be above 0 for log, but it is {low}")
    if step is not None and (log or not 0 < step <= high - low):
        raise ParamsError(
            f"{name}.step must be above 0, at most high - low, and without log; it is {step}"
        )


def _check_ends(parameter: Parameter, recipe: Recipe) -> None:
    values: Sequence[Any] = parameter.choices or (parameter.low, parameter.high)
    for value in values:
        with_params(recipe, {parameter.name: value})


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
