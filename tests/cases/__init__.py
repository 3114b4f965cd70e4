"""A bad and a good example of every rule, one module a family."""

from importlib import import_module
from pathlib import Path

from cases.case import Case


def all_cases() -> dict[str, Case]:
    """Gather the cases of every `*_cases.py` beside this file, by rule id."""
    modules = [
        import_module(f"cases.{path.stem}")
        for path in sorted(Path(__file__).parent.glob("*_cases.py"))
    ]
    return {rule: case for module in modules for rule, case in module.CASES.items()}
