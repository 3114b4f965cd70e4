"""The page of a rule: the sections of its docstring, also where Python has stripped docstrings."""

import ast
import inspect
import re
import tokenize
from collections.abc import Callable
from functools import cache
from typing import Any, Final

from colintern.artifacts.printable import printable

SECTIONS: Final = ("Why", "Evidence", "Fix", "Source")
"""The headings that follow the summary in every rule's docstring, in this order."""

_MAX_SECTION_CHARACTERS: Final = 4_000
"""Of one section of a docstring: a page of text."""
_HEADING: Final = re.compile(rf"^({'|'.join(SECTIONS)}):[ \n]", re.MULTILINE)


def docstring_sections(rule_id: str, check: Callable[..., Any]) -> dict[str, str]:
    """Return the sections of a check's docstring by heading, the summary as `Summary`.

    Raises:
        ValueError: one is absent or empty.
    """
    parts = _HEADING.split(_docstring(check))
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    sections["Summary"] = parts[0]
    sections = {
        heading: printable(" ".join(text.split()), limit=_MAX_SECTION_CHARACTERS)
        for heading, text in sections.items()
    }
    absent = [heading for heading in ("Summary", *SECTIONS) if not sections.get(heading)]
    if absent:
        raise ValueError(
            f"the docstring of {rule_id} lacks {', '.join(absent)}: it needs a summary, then "
            f"{', '.join(f'{heading}:' for heading in SECTIONS)}"
        )
    return sections


def _docstring(check: Callable[..., Any]) -> str:
    """Return the docstring, from the source file where `python -OO` has dropped it."""
    if check.__doc__ is not None:
        return inspect.cleandoc(check.__doc__)
    code = getattr(inspect.unwrap(check), "__code__", None)
    return "" if code is None else _docstrings_in(code.co_filename).get(code.co_firstlineno, "")


@cache
def _docstrings_in(file: str) -> dict[int, str]:
    """Return the docstrings of the functions of a source file, by the line that they begin at."""
    try:
        with tokenize.open(file) as source:
            tree = ast.parse(source.read())
    except (OSError, SyntaxError, ValueError):
        return {}
    functions = (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    return {
        min(node.lineno, *(each.lineno for each in node.decorator_list)): docstring
        for node in functions
        if node.decorator_list and (docstring := ast.get_docstring(node))
    }
