"""Where the rules are, and reading them out of their files."""

import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType

from colintern.engine.rule import Rule, rule_of
from colintern.engine.rule_families import RULE_FAMILIES

CHECK_FILES = "check_*.py"
LIVE_FAMILY = next(family.prefix for family in RULE_FAMILIES if family.loads_model)
LIVE_CHECKS = "check_live*.py"
"""The rules that load the model; collected only with `--live`."""


def checks_folder() -> Path:
    """Return the folder of the rules that ColIntern ships: packaged, else in the repository."""
    root = Path(__file__).parents[2]
    packaged = root / "pytest_colintern" / "checks"
    return packaged if packaged.is_dir() else root / "checks"


@cache
def shipped_files() -> dict[str, Path]:
    """Return the files of those rules, by name; no two have the same."""
    return {path.name: path for path in sorted(checks_folder().rglob(CHECK_FILES))}


def load_check_file(path: Path) -> ModuleType:
    """Import a `check_*.py` file by its path, once, whatever its folder is called."""
    return _load(shipped_file(path))


def shipped_file(path: Path) -> Path:
    """Return the file that ColIntern ships, if `path` is a copy of one; else `path`.

    So the checks of a clone can be named where the package itself is installed beside it.
    """
    shipped = shipped_files().get(path.name)
    if shipped is None or path == shipped:
        return path
    return shipped if path.read_bytes() == shipped.read_bytes() else path


@cache
def _load(path: Path) -> ModuleType:
    digest = hashlib.sha1(str(path).encode("utf-8", "surrogateescape"), usedforsecurity=False)
    name = f"_colintern_{path.stem}_{digest.hexdigest()[:8]}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} cannot be imported as Python source")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def rules_in(module: ModuleType) -> dict[str, Rule]:
    """Return the rules that `module` defines, by the name of their function."""
    return {
        name: rule
        for name, value in vars(module).items()
        if (rule := rule_of(value)) and value.__module__ == module.__name__
    }


def shipped_rules() -> dict[str, Rule]:
    """Return every rule that ColIntern ships, by id.

    Raises:
        ValueError: two rules share an id or a role.
    """
    files = shipped_files().values()
    return merged_rules(rules_in(load_check_file(path)).values() for path in files)


def merged_rules(groups: Iterable[Iterable[Rule]]) -> dict[str, Rule]:
    """Put rules of several files into one catalogue.

    Raises:
        ValueError: two rules share an id or a role.
    """
    catalogue: dict[str, Rule] = {}
    for rule in (rule for group in groups for rule in group):
        other = catalogue.setdefault(rule.id, rule)
        if other.check is not rule.check:
            files = " and ".join(each.check.__code__.co_filename for each in (other, rule))
            raise ValueError(
                f"two rules have the id {rule.id}: {other.name} and {rule.name} (in {files})"
            )
    _refuse_shared_roles(catalogue)
    return catalogue


def _refuse_shared_roles(catalogue: Mapping[str, Rule]) -> None:
    holders: dict[str, Rule] = {}
    for rule in catalogue.values():
        if rule.role and holders.setdefault(rule.role, rule) is not rule:
            raise ValueError(f"{rule.id} has the role of {holders[rule.role].id}: {rule.role}")


def unknown_requirements(catalogue: Mapping[str, Rule]) -> list[str]:
    """Name the requirements that no rule of `catalogue` satisfies, as `TEAM001 requires TEAM9`."""
    return [
        f"{rule.id} requires {required}"
        for rule in catalogue.values()
        for required in sorted(rule.requires - catalogue.keys())
    ]


def circular_requirements(catalogue: Mapping[str, Rule]) -> str | None:
    """Name rules that require each other in a circle, as `A -> B -> A`; None when none do."""
    try:
        TopologicalSorter({rule.id: rule.requires for rule in catalogue.values()}).prepare()
    except CycleError as error:
        return " -> ".join(error.args[1])
    return None


def matches(rule_id: str, selector: str) -> bool:
    """Whether a selector (a rule id, or a family as a prefix of ids) covers the rule."""
    return rule_id == selector or rule_id.rstrip("0123456789") == selector


def unknown_selector(selector: str, catalogue: Mapping[str, Rule]) -> str | None:
    """Say that `selector` covers no rule, with close names; None when it does."""
    if any(matches(rule_id, selector) for rule_id in catalogue):
        return None
    known = sorted({*catalogue, *(rule.family for rule in catalogue.values())})
    by_name = {rule.name: rule.id for rule in catalogue.values()}
    close = get_close_matches(selector.upper(), known, n=3, cutoff=0.5)
    close += [by_name[name] for name in get_close_matches(selector.lower(), by_name, n=2)]
    hint = f"; did you mean {' or '.join(dict.fromkeys(close))}?" if close else ""
    return f"no rule or family is called {selector!r}{hint} (`colintern rules` lists them)"
