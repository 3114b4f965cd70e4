"""Every piece of evidence as a pytest fixture, for the fixtures of a team's own checks."""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

import pytest

from pytest_colintern.evidence_registry import Provider
from pytest_colintern.rule_item import RuleItem


def evidence_fixtures(providers: Mapping[str, Provider]) -> ModuleType:
    """Make a plugin module that holds one fixture a provider, with the provider's documentation."""
    module = ModuleType("colintern_evidence", "Evidence of the audited checkpoint.")
    for name, provider in providers.items():
        setattr(module, name, pytest.fixture(name=name)(_reader(name, provider)))
    return module


def _reader(name: str, provider: Provider) -> Callable[[pytest.FixtureRequest], Any]:
    def read(request: pytest.FixtureRequest) -> Any:
        item = request.node
        if not isinstance(item, RuleItem):
            pytest.fail(
                f"the evidence {name!r} is for functions declared with @rule in check_*.py files"
            )
        return item.judge.resolver.get(name)

    read.__doc__ = provider.__doc__
    return read
