"""Which modules PEFT puts LoRA on: its own rules, to the letter (PEFT 0.20).

A list entry matches a module of that very name, or whose name ends in a dot and the entry; it is
never a glob or a regular expression. Only a string is one, matched against the whole name.
Source: `check_target_module_exists`, `get_pattern_key` in peft 0.20.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.diagnostics.adapter.safe_pattern import SafePattern, fresh_pattern, safe_pattern

ALL_LINEAR: Final = "all-linear"
"""Every linear module but the output layer; PEFT writes the list of names when it saves."""

_PLAIN: Final = re.compile(r"[\w.]+")


@dataclass(frozen=True)
class TargetMatcher:
    """Decides for a module's name as PEFT would; None where a pattern could not be tried."""

    config: AdapterConfig

    def matches(self, name: str) -> bool | None:
        """Whether PEFT puts LoRA on the module `name`."""
        excluded = self.excludes(name)
        return excluded if excluded is None else (not excluded and self.targets(name))

    def excludes(self, name: str) -> bool | None:
        """Whether `exclude_modules` or `modules_to_save` take the module out."""
        if isinstance(self.config.exclude_modules, str) and self.config.exclude_modules:
            excluded = self._exclude_pattern.fullmatch(name)
        else:
            excluded = not self._excluded.isdisjoint(suffixes(name))
        return excluded if excluded is not False else self.saves(name)

    def saves(self, name: str) -> bool | None:
        """Whether the module is, or lies in, one of `modules_to_save`."""
        results = [pattern.fullmatch(name) for pattern in self._saved]
        return True if True in results else None if None in results else False

    def targets(self, name: str) -> bool | None:
        """Whether `target_modules` and the layer selection take the module in."""
        target = self.config.target_modules
        if target is None:
            return False
        if isinstance(target, str):
            if target.lower() == ALL_LINEAR:
                return True
            return self._target_pattern.fullmatch(name)
        if name in self._entries:
            return True
        return not self._entries.isdisjoint(suffixes(name)) and self._in_layers(name)

    @cached_property
    def problem(self) -> str | None:
        """Why the patterns of this configuration cannot be tried, or None."""
        texts = [
            text
            for text in (self.config.target_modules, self.config.exclude_modules)
            if isinstance(text, str) and text.lower() != ALL_LINEAR
        ]
        patterns = [*(safe_pattern(text) for text in texts), *self._saved]
        return next((pattern.problem for pattern in patterns if pattern.problem), None)

    def _in_layers(self, name: str) -> bool | None:
        wanted = self.config.layers_to_transform
        if wanted is None or wanted == []:
            return True
        index = self._layer_index(name)
        if index is None:
            return False
        return index in (wanted if isinstance(wanted, list) else [wanted])

    def _layer_index(self, name: str) -> int | None:
        """Find the index behind the first numbered segment, or behind a `layers_pattern`.

        PEFT takes layers_pattern for a regular expression; a name that is not plain is not tried.
        """
        patterns = self.config.layers_pattern
        if not patterns:
            match = re.match(r".*?\.[^.]*\.(\d{1,9})\.", name)
            return int(match.group(1)) if match else None
        for pattern in [patterns] if isinstance(patterns, str) else patterns:
            if not _PLAIN.fullmatch(pattern):
                continue
            match = re.match(rf".*?\.{pattern}\.(\d{{1,9}})\.", name)
            if match:
                return int(match.group(1))
        return None

    @cached_property
    def _target_pattern(self) -> SafePattern:
        return fresh_pattern(str(self.config.target_modules))

    @cached_property
    def _exclude_pattern(self) -> SafePattern:
        return fresh_pattern(str(self.config.exclude_modules))

    @cached_property
    def _entries(self) -> frozenset[str]:
        target = self.config.target_modules
        return frozenset(target if isinstance(target, list) else ())

    @cached_property
    def _excluded(self) -> frozenset[str]:
        excluded = self.config.exclude_modules
        return frozenset(excluded if isinstance(excluded, list) else ())

    @cached_property
    def _saved(self) -> tuple[SafePattern, ...]:
        names = dict.fromkeys(self.config.modules_to_save or ())
        return tuple(fresh_pattern(rf"(^|.*\.){name}($|\..*)") for name in names)


def declares(config: AdapterConfig, module: str) -> bool | None:
    """Whether a configuration names the top-level `module`, for LoRA or to be saved in full.

    None where a pattern cannot be tried.
    """
    target = config.target_modules
    if isinstance(target, str) and target.lower() == ALL_LINEAR:
        return True
    matcher = TargetMatcher(config)
    found = [
        check(name)
        for name in (module, f"model.{module}")
        for check in (matcher.targets, matcher.saves)
    ]
    return True if True in found else None if matcher.problem else False


def suffixes(name: str) -> Iterable[str]:
    """Yield the name and what follows each of its dots.

    >>> list(suffixes("a.b.c"))
    ['a.b.c', 'c', 'b.c']
    """
    yield name
    end = len(name)
    for _ in range(_MOST_SEGMENTS):
        end = name.rfind(".", 0, end)
        if end < 0:
            return
        yield name[end + 1 :]


_MOST_SEGMENTS: Final = 64
"""Dots of a name that are looked behind; the deepest module of any model has about 12."""


def rank_of(config: AdapterConfig, module: str) -> int | None:
    """Return the rank that `rank_pattern` gives the module, else `r`; None if it cannot be told."""
    found = _by_pattern(config.rank_pattern, module, config.r)
    return None if found is None else int(found)


def scaling_of(config: AdapterConfig, module: str, rank: int) -> float | None:
    """Return what B A is multiplied by, or None where a pattern could not be tried."""
    alpha = _by_pattern(config.alpha_pattern, module, config.lora_alpha)
    if alpha is None:
        return None
    return alpha / (rank**0.5 if config.use_rslora else rank)


def _by_pattern(patterns: Mapping[str, float] | None, module: str, default: float) -> float | None:
    if not patterns:
        return default
    if len(patterns) > _MOST_PATTERNS:
        return None
    tried = 0
    for key, value in patterns.items():
        if _PLAIN.fullmatch(key):
            matched: bool | None = module == key or module.endswith(f".{key}")
        else:
            tried += 1
            if tried > _MOST_EXPRESSIONS:
                return None
            matched = safe_pattern(rf"(.*\.)?({key})").fullmatch(module)
        if matched is None:
            return None
        if matched:
            return value
    return default


_MOST_PATTERNS: Final = 1_000
"""Keys of `rank_pattern`: EVA writes one a module, some hundreds."""

_MOST_EXPRESSIONS: Final = 20
"""Keys that are true regular expressions; each may take its time."""
