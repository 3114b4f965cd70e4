"""What is known of a family stands in its entry: its names are literals nowhere else."""

import ast
import re
from pathlib import Path

import pytest

from colintern.families.catalogue import FAMILIES

REPOSITORY = Path(__file__).parents[2]
PACKAGES = ("colintern", "pytest_colintern", "checks")
ENTRIES = REPOSITORY / "colintern" / "families"
ALLOWED = {
    # A framework of MTEB's, by MTEB's own name for it.
    "colintern/evaluation/model_meta.py": {"ColPali"},
    # Lines for a reader to run, which import the classes of this project's own model.
    "colintern/training/final_model.py": {"ColIntern3_5", "ColIntern3_5Processor"},
}
# A recipe says which family it trains.
NAMING_ENTRIES = {"colintern/recipes/named.py": {"colintern.families.colintern"}}
WITH_TEXT = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def names_of(family):
    """Every name by which code could tell the family: its own, its classes, its model types."""
    native = {family.native_class} if family.native_class else set()
    own = {family.name, *family.aliases}
    return own | family.classes | native | family.mteb_wrappers | {*family.backbone.model_types}


NAMES = frozenset().union(*map(names_of, FAMILIES))
NAME = re.compile(rf"(?<!\w)(?:{'|'.join(sorted(map(re.escape, NAMES)))})(?!\w)")


def literals(source):
    """Yield every string of a module that is not there for a reader alone."""
    tree = ast.parse(source)
    read = {
        id(statement.value)
        for node in ast.walk(tree)
        if isinstance(node, WITH_TEXT)
        for statement in node.body
        if isinstance(statement, ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in read:
            yield node.value


def named_in(source):
    return {name for text in literals(source) for name in NAME.findall(text)}


def entries_imported_in(source):
    """The modules of entries that a module imports, to compare with a family or to read one."""
    tree = ast.parse(source)
    imported = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    entries = {f"colintern.families.{path.stem}" for path in entry_modules()}
    return entries.intersection(imported)


def entry_modules():
    holding = re.compile(r"^FAMILIES: Final = \(", re.MULTILINE)
    return [path for path in ENTRIES.glob("*.py") if holding.search(path.read_text())]


def modules():
    paths = (path for package in PACKAGES for path in (REPOSITORY / package).rglob("*.py"))
    return sorted(path for path in paths if ENTRIES not in path.parents)


def found_by(look):
    return {
        path.relative_to(REPOSITORY).as_posix(): found
        for path in modules()
        if (found := look(path.read_text(encoding="utf-8")))
    }


def test_no_family_is_named_outside_its_entry():
    assert found_by(named_in) == ALLOWED


def test_no_entry_is_imported_outside_the_catalogue():
    assert len(entry_modules()) == 6
    assert found_by(entries_imported_in) == NAMING_ENTRIES


@pytest.mark.parametrize(
    ("source", "names"),
    [
        (
            'CLASSES = {"ColQwen2": ("ColQwen2", "ColQwen2Processor")}',
            {"ColQwen2", "ColQwen2Processor"},
        ),
        ('ok = kind == "qwen2_vl"', {"qwen2_vl"}),
        ('path = "colpali_engine.models.ColGemma3"', {"ColGemma3"}),
        ('text = f"{name} is no ColIntern3.5"', {"ColIntern3.5"}),
        ('def f(kind="paligemma"): pass', {"paligemma"}),
        ('"""ColPali pads right."""\n# as ColQwen2 does\nx = 1', set()),
        ('def f():\n    """Of ColPali."""\n    return "colpali_train_set"', set()),
        ('x = "ColPaliLike", "language_model", "myColPali"', set()),
    ],
)
def test_a_name_elsewhere_would_be_found(source, names):
    assert named_in(source) == names


def test_an_import_of_an_entry_would_be_found():
    source = "def f():\n    from colintern.families.paligemma import PALIGEMMA"
    assert entries_imported_in(source) == {"colintern.families.paligemma"}
