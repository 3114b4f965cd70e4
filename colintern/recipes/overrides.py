"""Flags of the command line over a recipe: the Trainer's own, and `--set key=value`."""

import argparse
import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, Final, NoReturn, get_type_hints

import click
import msgspec

from colintern.recipes.recipe import DataSettings, Recipe

_FIXED: Final = frozenset({"name", "data", "lora", "arguments"})
"""Fields of a recipe that are no single value."""

_SHOWN_NAMES: Final = 30
"""Names in a message: the Trainer has over a hundred flags, each in two spellings."""

_ABOVE_ZERO: Final = (
    *("learning_rate", "temperature", "num_train_epochs", "per_device_train_batch_size"),
    *("gradient_accumulation_steps", "train_pairs", "chunk_size", "max_num_visual_tokens"),
    *("lora.rank", "lora.alpha"),
)
_NOT_BELOW_ZERO: Final = ("warmup_steps", "weight_decay", "max_grad_norm", "lora.dropout")

_OTHER_WAYS: Final = {
    "output_dir": "--output-dir",
    "resume_from_checkpoint": "--resume",
    "remove_unused_columns": "nothing: the columns of pages are always kept",
}


class OverrideError(ValueError):
    """A flag, key or recipe that does not exist, or a value that it cannot have."""


def with_settings(recipe: Recipe, settings: Iterable[str]) -> Recipe:
    """Apply `key=value`; `lora.rank=8` and `data.source=FOLDER` reach inside.

    Raises:
        OverrideError: no such key, or a value of the wrong type.
    """
    for setting in settings:
        key, separator, value = setting.partition("=")
        if not separator:
            raise OverrideError(f"--set takes key=value, but it was given {setting!r}")
        recipe = _with_setting(recipe, key.strip().replace("-", "_"), value.strip())
    return recipe


def with_arguments(recipe: Recipe, arguments: Mapping[str, Any]) -> Recipe:
    """Apply values of TrainingArguments, to the recipe's own field where it has one."""
    names = {each.name for each in fields(recipe)} - _FIXED
    own = {key: value for key, value in arguments.items() if key in names}
    more = {key: value for key, value in arguments.items() if key not in names}
    if more.get("eval_strategy") in ("no", False):
        own["eval_steps"] = None
    kept = {key: value for key, value in recipe.arguments.items() if key not in own}
    return replace(recipe, **own, arguments={**kept, **more})


def check_values(recipe: Recipe) -> None:
    """Check that every value of the recipe is one that can be trained with.

    Raises:
        OverrideError: one is not.
    """
    for name in _ABOVE_ZERO:
        _bounded(recipe, name, "above 0", lambda value: 0 < value < math.inf)
    for name in _NOT_BELOW_ZERO:
        _bounded(recipe, name, "0 or more", lambda value: 0 <= value < math.inf)
    _bounded(recipe, "lora.dropout", "below 1", lambda value: value < 1)
    targets = recipe.lora.target_modules
    try:
        re.compile(targets if isinstance(targets, str) else "")
    except re.error as error:
        raise OverrideError(
            f"lora.target_modules must be a regular expression, but {targets!r} is none: {error}"
        ) from error


def _bounded(recipe: Recipe, name: str, expected: str, holds: Callable[[float], bool]) -> None:
    record, _, inner = name.rpartition(".")
    value = getattr(getattr(recipe, record) if record else recipe, inner)
    if value is not None and not holds(value):
        raise OverrideError(f"{name} must be {expected}, but it is {value:g}; set another value")


def parsed_arguments(flags: Sequence[str]) -> dict[str, Any]:
    """Read flags of TrainingArguments, with hyphens or underscores, as the Trainer does.

    Returns:
        Only those that were given.

    Raises:
        OverrideError: a flag that the Trainer does not have, or a value that it cannot have.
    """
    from transformers import HfArgumentParser, TrainingArguments  # seconds

    class Parser(HfArgumentParser):
        def error(self, message: str) -> NoReturn:
            raise OverrideError(message)

    parser = Parser(TrainingArguments, allow_abbrev=False, add_help=False)
    for action in parser._actions:  # noqa: SLF001 - argparse has no other way to say "not given"
        action.default = argparse.SUPPRESS
    known, unknown = parser.parse_known_args(list(flags))
    for flag in unknown:
        options = [name for action in parser._actions for name in action.option_strings]  # noqa: SLF001 - as above
        options += _flags_of_the_command()
        raise OverrideError(f"no flag is called {flag!r}{close_names(flag.split('=')[0], options)}")
    values = vars(known)
    for name, instead in _OTHER_WAYS.items():
        if name in values:
            raise OverrideError(f"{name} is not taken from here; use {instead}")
    return values


def _flags_of_the_command() -> list[str]:
    context = click.get_current_context(silent=True)
    parameters = context.command.params if context else []
    return [name for each in parameters for name in each.opts if name.startswith("--")]


def _with_setting(recipe: Recipe, key: str, value: str) -> Recipe:
    outer, _, inner = key.partition(".")
    if outer == "lora" and inner:
        return replace(recipe, lora=_changed(recipe.lora, inner, value, prefix="lora."))
    if outer == "data" and inner:
        data = recipe.data or DataSettings(source=value)
        return replace(recipe, data=_changed(data, inner, value, prefix="data."))
    return _changed(recipe, key, value)


def _changed(record: Any, name: str, text: str, *, prefix: str = "") -> Any:
    hints = {key: hint for key, hint in get_type_hints(type(record)).items() if key not in _FIXED}
    if name not in hints:
        names = [f"{prefix}{key}" for key in hints]
        raise OverrideError(
            f"no setting is called {prefix + name!r}{close_names(prefix + name, names)}"
        )
    value: Any = None if text.lower() == "none" else text
    try:
        return replace(record, **{name: msgspec.convert(value, hints[name], strict=False)})
    except msgspec.ValidationError as error:
        raise OverrideError(f"{prefix}{name}={text} is no value for it: {error}") from error


def close_names(name: str, names: Iterable[str]) -> str:
    """Say what was meant by a `name` that does not exist, or else what there is."""
    known = list(names)
    close = difflib.get_close_matches(name, known, n=3)
    if close:
        return f"; did you mean {' or '.join(close)}?"
    many = len(known) > _SHOWN_NAMES
    return "; --help says which there are" if many else f"; there are {', '.join(known)}"
