"""Rules as pytest items: one item a rule and subject."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType
from typing import Any, Self

import pytest

from colintern.engine.catalogue import load_check_file, rules_in
from colintern.engine.judge import Judge
from colintern.engine.outcome import CheckResult
from colintern.engine.reports.junit_report import properties_of
from colintern.engine.resolver import Provider, parameters_of, providers_of
from colintern.engine.rule import Rule
from colintern.engine.subjects import Subject

Selector = Callable[[str], bool]
"""Whether a rule id is to be judged."""


class RuleFile(pytest.File):
    """A `check_*.py` file. Only functions that carry `@rule` are collected."""

    subjects: tuple[Subject, ...]
    selected: Selector
    judges: Callable[[Subject], Judge]
    register: "Callable[[RuleFile], frozenset[str]]"
    """Takes the file's rules and evidence into the audit; returns the names of all evidence."""
    offer_fixtures: Callable[[], None]
    """Makes every piece of evidence a pytest fixture."""

    @property
    def obj(self) -> ModuleType:
        """The module, under the name that pytest expects."""
        return load_check_file(self.path)

    @property
    def rules(self) -> dict[str, Rule]:
        """The file's rules, by the name of their function."""
        return rules_in(load_check_file(self.path))

    @property
    def providers(self) -> dict[str, Provider]:
        """Evidence that the file itself defines."""
        return providers_of(load_check_file(self.path))

    def collect(self) -> Iterator[pytest.Item]:
        """Yield each selected rule for each subject.

        Raises:
            CollectError: a rule or evidence of this name is already there.
        """
        try:
            evidence_names = self.register(self)
        except ValueError as error:
            raise self.CollectError(str(error)) from error
        rules = self.rules
        if any(_fixture_names(rule, evidence_names) for rule in rules.values()):
            self.offer_fixtures()
            # The file's own fixtures: pytest does this for its modules, without a public call.
            self.session._fixturemanager.parsefactories(self)  # noqa: SLF001
        for function_name, rule in rules.items():
            if self.selected(rule.id):
                for subject in self.subjects:
                    yield RuleItem.of(self, function_name, rule, subject, evidence_names)


class RuleItem(pytest.Function):
    """A rule on a subject. Evidence comes from the judge, other parameters are pytest fixtures."""

    rule: Rule
    subject: Subject
    result: CheckResult | None = None
    _obstacle: Exception | None = None

    @classmethod
    def of(
        cls,
        parent: RuleFile,
        function_name: str,
        rule: Rule,
        subject: Subject,
        evidence_names: frozenset[str],
    ) -> Self:
        """Make the item of `rule` on `subject`."""
        item: Self = cls.from_parent(
            parent,
            name=f"{function_name}[{subject.name}]",
            callobj=_fixture_taker(rule, evidence_names),
        )
        item.rule = rule
        item.subject = subject
        item.extra_keyword_matches |= {rule.id, rule.name, rule.family, subject.name}
        for severity in {rule.severity, rule.up_to}:
            item.add_marker(severity.value)
        return item

    @property
    def judge(self) -> Judge:
        """The judge of this item's subject."""
        file = self.getparent(RuleFile)
        assert file is not None, "a rule item is made by a rule file"  # noqa: S101 - for the type checker
        return file.judges(self.subject)

    def setup(self) -> None:
        """Set up the fixtures of the rule's author; what they raise is a result of the rule."""
        try:
            super().setup()
        except pytest.FixtureLookupError as error:
            self._obstacle = LookupError(self._unknown_parameter(str(error.argname)))
        except Exception as error:  # noqa: BLE001 - NoEvidence is a result, the rest is an error of the rule
            self._obstacle = error

    def _unknown_parameter(self, name: str) -> str:
        close = get_close_matches(name, self.judge.resolver.names, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        return f"no evidence and no pytest fixture is called {name!r}{hint}"

    def runtest(self) -> None:
        """Judge; nothing is raised, the outcome is in `result`."""
        given = {name: self.funcargs.get(name) for name in self._fixtureinfo.argnames}
        self.result = self.judge.result(self.rule, obstacle=self._obstacle, given=given)
        self.user_properties += properties_of(self.result)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Point at the rule's own function."""
        return self.path, self.rule.check.__code__.co_firstlineno - 1, self.name


def _fixture_names(rule: Rule, evidence_names: frozenset[str]) -> list[str]:
    """Parameters that are no evidence, so pytest must know them."""
    return [name for name, _ in parameters_of(rule.check) if name not in evidence_names]


def _fixture_taker(rule: Rule, evidence_names: frozenset[str]) -> Callable[..., Mapping[str, Any]]:
    """Make the function that pytest sees: its parameters are the rule's without the evidence."""

    def take(**fixtures: Any) -> Mapping[str, Any]:
        return fixtures

    names = _fixture_names(rule, evidence_names)
    take.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY) for name in names]
    )
    take.__doc__ = rule.check.__doc__
    take.__name__ = rule.check.__name__
    return take
