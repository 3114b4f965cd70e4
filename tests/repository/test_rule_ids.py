"""All that is known of a rule stands with the rule: its id stands nowhere else in the packages."""

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

from colintern.engine.catalogue import shipped_rules
from colintern.engine.rule_families import STAGES

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("colintern", "pytest_colintern")
ID = re.compile(rf"\b(?:{'|'.join(STAGES)})\d{{3}}\b")
DOORS = ("colintern/cli.py", "colintern/commands/", "pytest_colintern/options.py")
"""Where help texts are: documentation for users, in which an example may name a rule that exists.
So may the pages in colintern/docs, which tests/commands/test_docs.py looks at."""


def strings_in(source):
    """Every string constant: docstrings, and the fixed parts of f-strings, are among them."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.lineno, node.value


def comments_in(source):
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def misplaced_ids(name, source):
    """Ids in a module, but those of rules that exist within a sentence of a help text."""
    for line, text in (*strings_in(source), *comments_in(source)):
        is_help = name.startswith(DOORS) and len(text.split()) > 1
        for rule_id in ID.findall(text):
            if not (is_help and rule_id in shipped_rules()):
                yield f"{name}:{line}: {rule_id}"


def sources():
    for package in PACKAGES:
        for path in sorted((REPOSITORY / package).rglob("*.py")):
            yield path.relative_to(REPOSITORY).as_posix(), path.read_text(encoding="utf-8")


def test_no_module_names_a_rule_by_its_id():
    found = [each for name, source in sources() for each in misplaced_ids(name, source)]
    assert found == [], "say it by a field of @rule, or by the rule's name"


def test_no_template_names_a_rule_by_its_id():
    templates = [
        path
        for package in PACKAGES
        for ending in ("*.js", "*.jinja2", "*.css")
        for path in (REPOSITORY / package).rglob(ending)
    ]
    assert templates
    assert [str(path) for path in templates if ID.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    "line",
    [
        'RULES = ("LOG002", "ADP003")',
        'raise ValueError(f"{path}: CFG001 says why")',
        '"""What DAT002 needs."""',
        "wanted = 1  # REC001 finds out",
    ],
)
def test_an_id_in_a_module_is_found(line):
    assert list(misplaced_ids("colintern/engine/judge.py", line))


@pytest.mark.parametrize(
    ("name", "text", "is_allowed"),
    [
        ("colintern/commands/rules.py", "colintern rules ADP003", True),
        ("colintern/commands/rules.py", "colintern rules ADP999", False),
        ("colintern/commands/rules.py", "ADP003", False),
        ("colintern/engine/rule.py", "colintern rules ADP003", False),
    ],
)
def test_a_help_text_may_name_a_rule_that_exists(name, text, is_allowed):
    assert (list(misplaced_ids(name, repr(text))) == []) is is_allowed
