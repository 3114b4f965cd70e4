"""Every piece of evidence as a pytest fixture, for the fixtures of a team's own checks."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from pytest_colintern.evidence_registry import Provider
from pytest_colintern.rule_item import RuleItem


class EvidenceFixtures:
    """A plugin object whose attributes are the fixtures, one a provider."""

    def __init__(self, providers: Mapping[str, Provider]) -> None:
        """Make a fixture of each provider, with its documentation."""
        for name, provider in providers.items():
            setattr(self, name, pytest.fixture(name=name)(_reader(name, provider)))


def _reader(name: str, provider: Provider) -> Callable[[pytest.FixtureRequest], Any]:
    def read(request: pytest.FixtureRequest) -> Any:
        item = request.node
        if not isinstance(item, RuleItem):
            pytest.fail(f"the evidence {name!r} is for functions declared with @rule in check_*.py files")
        return item.judge.resolver.get(name)

    read.__doc__ = provider.__doc__
    return read
