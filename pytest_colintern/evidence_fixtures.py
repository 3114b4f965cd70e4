"""Every piece of evidence as a pytest fixture, for the fixtures of a team's own checks."""

from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final

import pytest

from colintern.engine.providers import shipped_providers
from colintern.engine.resolver import Provider
from pytest_colintern.rule_item import RuleItem

_PLUGIN: Final = "colintern-evidence"


def offer_evidence_fixtures(config: pytest.Config) -> None:
    """Register a fixture for every piece of shipped evidence, once.

    Sixty fixtures cost pytest 30 ms, so only an audit whose rules take fixtures has them.
    """
    if not config.pluginmanager.has_plugin(_PLUGIN):
        config.pluginmanager.register(_fixtures(shipped_providers()), _PLUGIN)


def _fixtures(providers: Mapping[str, Provider]) -> ModuleType:
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
