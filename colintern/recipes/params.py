"""Hyperparameters by name: what may be searched, and putting values of them into a recipe."""

import math
import types
import typing
from collections.abc import Collection, Mapping
from dataclasses import fields, replace
from typing import Any, Final, Literal

from colintern.artifacts.printable import printable
from colintern.recipes.overrides import OverrideError, close_names, parsed_arguments, with_settings
from colintern.recipes.recipe import Recipe
from colintern.recipes.targets import LoraSettings

Value = float | int | str | bool
"""Of a hyperparameter."""

Kind = Literal["float", "int", "other"]

BATCH: Final = "per_device_train_batch_size"
WARMUP_RATIO: Final = "warmup_ratio"
"""Warm-up as a share of the run, which suits runs of any length; the Trainer calls it
`warmup_steps` below 1."""

ACCUMULATION: Final = "gradient_accumulation_steps"
_NEVER: Final = frozenset(
    {"name", "family", "base", "data", "lora", "arguments", "train_pairs", "eval_pairs"}
    | {"eval_steps", "save_steps", "save_total_limit", "logging_steps"}
)
"""Fields of a recipe that decide what a trial is compared by, or that decide nothing."""
_NEVER_ARGUMENTS: Final = ("output_dir", "eval_", "save_", "logging_", "load_", "push_", "hub_")
"""Beginnings of arguments of the Trainer for which the same holds."""


_TINY: Final = 1e-12
_BOUNDS: Final[dict[str, tuple[float, float]]] = {
    "learning_rate": (_TINY, math.inf),
    "temperature": (_TINY, math.inf),
    "num_train_epochs": (_TINY, math.inf),
    WARMUP_RATIO: (0, 1),
    "warmup_steps": (0, math.inf),
    "weight_decay": (0, math.inf),
    "max_grad_norm": (0, math.inf),
    BATCH: (2, math.inf),
    ACCUMULATION: (1, math.inf),
    "chunk_size": (1, math.inf),
    "lora.rank": (1, math.inf),
    "lora.alpha": (1, math.inf),
    "lora.dropout": (0, 1),
}
"""Least value, and the value that it must be below: beyond them no trial can train."""


class ParamsError(ValueError):
    """A hyperparameter that does not exist, or a value that it cannot have."""


def with_params(recipe: Recipe, params: Mapping[str, Value], given: Collection[str] = ()) -> Recipe:
    """Return `recipe` with the values of `params`.

    Alpha follows the rank, and the accumulation keeps the effective batch, unless they are given.

    Args:
        recipe: to change.
        params: values by name.
        given: names of what the recipe was given on purpose: that does not follow.

    Raises:
        ParamsError: no such hyperparameter, or a value that it cannot have.
    """
    changed = recipe
    for name, value in params.items():
        changed = _with_param(changed, name, value)
    own = {*params, *given}
    if "lora.rank" in params and "lora.alpha" not in own:
        changed = replace(changed, lora=replace(changed.lora, alpha=changed.lora.rank))
    if BATCH in params and ACCUMULATION not in own:
        steps = math.ceil(recipe.effective_batch_size / changed.per_device_train_batch_size)
        changed = replace(changed, gradient_accumulation_steps=steps)
    return changed


def value_in(recipe: Recipe, name: str) -> Any:
    """Return the value that `recipe` has for a hyperparameter; None when it says nothing."""
    if name.startswith("lora."):
        return getattr(recipe.lora, name.removeprefix("lora."))
    return getattr(recipe, name, recipe.arguments.get(name))


def kind_of(name: str) -> Kind:
    """Tell the type of the hyperparameter `name`.

    Raises:
        ParamsError: there is none of this name; the message has close ones.
    """
    known = _recipe_kinds()
    if name not in known:
        known |= _argument_kinds()
    if name not in known:
        raise ParamsError(f"no hyperparameter is called {printable(name)!r}{_meant(name, known)}")
    return known[name]


def as_number(name: str, value: object, *, whole: bool) -> float | int:
    """Return `value` as the finite number that it must be.

    Raises:
        ParamsError: it is none, or not a whole one.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ParamsError(f"{name} must be a number, but it is {printable(value)!r}")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ParamsError(f"{name} must be a finite number, but it is {printable(value, limit=40)}")
    if whole and number != int(number):
        raise ParamsError(f"{name} must be a whole number, but it is {value}")
    return int(value) if whole else number


def _check_number(name: str, value: float) -> None:
    least, below = _BOUNDS.get(name, (-math.inf, math.inf))
    if not least <= value < below:
        limit = f" and below {below:g}" if below < math.inf else ""
        raise ParamsError(f"{name} must be at least {least:g}{limit}, but it is {value:g}")


def _with_param(recipe: Recipe, name: str, value: Value) -> Recipe:
    kind = kind_of(name)
    if kind != "other":
        _check_number(name, as_number(name, value, whole=kind == "int"))
    if name == WARMUP_RATIO:
        return replace(recipe, arguments={**recipe.arguments, "warmup_steps": float(value)})
    text = str(int(value)) if kind == "int" else str(value)
    try:
        if name in _recipe_kinds():
            return with_settings(recipe, [f"{name}={text}"])
        return replace(
            recipe, arguments={**recipe.arguments, **parsed_arguments([f"--{name}={text}"])}
        )
    except OverrideError as error:
        raise ParamsError(str(error)) from error


def _recipe_kinds() -> dict[str, Kind]:
    own: dict[str, Any] = {
        key: hint for key, hint in typing.get_type_hints(Recipe).items() if key not in _NEVER
    }
    lora: dict[str, Any] = {
        f"lora.{key}": hint for key, hint in typing.get_type_hints(LoraSettings).items()
    }
    kinds: dict[str, Kind] = {key: _kind(hint) for key, hint in (own | lora).items()}
    kinds[WARMUP_RATIO] = "float"
    return kinds


def _argument_kinds() -> dict[str, Kind]:
    from transformers import TrainingArguments  # seconds

    hints = typing.get_type_hints(TrainingArguments)
    taken = {field.name for field in fields(Recipe)}
    return {
        field.name: _kind(hints[field.name])
        for field in fields(TrainingArguments)
        if field.init and field.name not in taken and not field.name.startswith(_NEVER_ARGUMENTS)
    }


def _kind(hint: Any) -> Kind:
    union = typing.get_origin(hint) in {typing.Union, types.UnionType}
    members = set(typing.get_args(hint) if union else [hint])
    if float in members:
        return "float"
    return "int" if int in members else "other"


def _meant(name: str, known: Mapping[str, Kind]) -> str:
    hint = close_names(name, known)
    return hint if "did you mean" in hint else close_names("", _recipe_kinds())
