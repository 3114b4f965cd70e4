"""Evidence by name: a provider is a function, its parameters are the evidence it is made from."""

import inspect
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from typing import Any, Final, TypeVar, Union, get_args, get_origin

from colintern.artifacts.errors import ArtifactError
from colintern.engine.verdict import NoEvidence

Provider = Callable[..., Any]
F = TypeVar("F", bound=Provider)

_EVIDENCE: Final = "__colintern_evidence__"
_ARTIFACT: Final = "__colintern_artifact__"


def evidence(provider: F) -> F:
    """Declare a function as the provider of the evidence that has its name.

    It returns the evidence, or raises `NoEvidence`. The function is returned unchanged.
    """
    setattr(provider, _EVIDENCE, True)
    return provider


def artifact(provider: F) -> F:
    """Declare evidence that is read from a file: a rule reads all of it to find malformed files."""
    setattr(provider, _ARTIFACT, True)
    return evidence(provider)


def providers_of(*modules: types.ModuleType) -> dict[str, Provider]:
    """Collect the providers that `modules` define, by name.

    Raises:
        ValueError: two modules define evidence of one name.
    """
    found: dict[str, Provider] = {}
    for module in modules:
        for name, value in vars(module).items():
            if not getattr(value, _EVIDENCE, False) or value.__module__ != module.__name__:
                continue
            if name in found:
                raise ValueError(f"evidence {name!r} is defined twice, again in {module.__name__}")
            found[name] = value
    return found


def is_artifact(provider: Provider) -> bool:
    """Whether the provider reads a file."""
    return bool(getattr(provider, _ARTIFACT, False))


@dataclass(frozen=True, slots=True)
class _Known:
    value: Any = None
    error: Exception | None = None


class Resolver:
    """The evidence of one subject, each piece made once, errors remembered like values.

    Providers and rules may ask for the resolver itself by the name `resolver`.
    """

    def __init__(self, providers: Mapping[str, Provider], given: Mapping[str, Any]) -> None:
        """Start from the providers and the evidence that needs none (`subject`, `options`)."""
        self.providers = providers
        self._known = {name: _Known(value) for name, value in given.items()}
        self._known["resolver"] = _Known(self)
        self._pending: list[str] = []

    @property
    def names(self) -> frozenset[str]:
        """Every name that a parameter may have."""
        return frozenset(self.providers) | frozenset(self._known)

    def get(self, name: str) -> Any:
        """Return the evidence `name`.

        Raises:
            NoEvidence: something it is made from was not recorded.
            ArtifactError: a file it is made from is malformed.
            LookupError: there is no such evidence; the message has close names.
        """
        known = self._known.get(name)
        if known is None:
            known = self._known[name] = self._make(name)
        if known.error is not None:
            raise known.error
        return known.value

    def call(self, function: Callable[..., Any], **given: Any) -> Any:
        """Call `function` with the evidence that its parameters name, except what is `given`.

        A parameter annotated `X | None` gets None where the evidence is missing or malformed: the
        function then does without, and a rule of its own has reported the malformed file.
        """
        arguments = dict(given)
        for name, optional in parameters_of(function):
            if name in arguments:
                continue
            try:
                arguments[name] = self.get(name)
            except (NoEvidence, ArtifactError):
                if not optional:
                    raise
                arguments[name] = None
        return function(**arguments)

    def _make(self, name: str) -> _Known:
        provider = self.providers.get(name)
        if provider is None:
            close = get_close_matches(name, self.names, n=3)
            hint = f"; did you mean {' or '.join(close)}?" if close else ""
            raise LookupError(f"no evidence is called {name!r}{hint}")
        if name in self._pending:
            chain = " -> ".join([*self._pending, name])
            raise RuntimeError(f"evidence is made from itself: {chain}")
        self._pending.append(name)
        try:
            return _Known(self.call(provider))
        except (NoEvidence, ArtifactError) as error:
            # The traceback would keep every frame's arrays alive for the rest of the audit.
            return _Known(error=error.with_traceback(None))
        finally:
            self._pending.pop()


@cache
def parameters_of(function: Callable[..., Any]) -> tuple[tuple[str, bool], ...]:
    """Return each parameter's name and whether its annotation admits None."""
    return tuple(
        (name, _admits_none(parameter.annotation))
        for name, parameter in inspect.signature(function).parameters.items()
    )


def _admits_none(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return "None" in annotation.replace("|", " ").split() or annotation.startswith("Optional")
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return is_union and type(None) in get_args(annotation)
