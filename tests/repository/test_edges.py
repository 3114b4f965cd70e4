"""Which package may import which: one table, lazy imports included."""

import ast

import pytest
from support.package_graph import (
    BELOW,
    REPOSITORY,
    allowed,
    cycle_in,
    edges_of,
    imports_of,
    modules_of,
)


@pytest.fixture(scope="module")
def modules():
    return modules_of(REPOSITORY)


def test_every_edge_is_in_the_table(modules):
    edges = edges_of(modules)
    assert {edge: sorted(edges[edge]) for edge in edges.keys() - allowed()} == {}


def test_the_table_names_every_package_and_no_other(modules):
    packages = {name for name in modules if name.count(".") == 1 or "." not in name}
    packages -= {name for name in packages if name.startswith(("pytest_colintern.", "checks."))}
    assert packages - {"colintern"} == set(BELOW)


def test_there_is_no_cycle(modules):
    assert cycle_in(edges_of(modules)) is None
    assert cycle_in(allowed()) is None


def test_every_edge_of_the_table_is_used(modules):
    assert allowed() - edges_of(modules).keys() == set()


@pytest.mark.parametrize(
    ("package", "line"),
    [
        ("artifacts", "from colintern.engine.judge import Judge"),
        ("engine", "import colintern.training.run"),
        ("engine", "def late():\n    from pytest_colintern import plugin"),
        ("facts", "from colintern.diagnostics.log import noise"),
        ("engine", "from checks.safety import check_safety"),
    ],
)
def test_another_edge_is_found(modules, tmp_path, package, line):
    guilty = tmp_path / "guilty.py"
    guilty.write_text(line)
    edges = edges_of({**modules, f"colintern.{package}.guilty": guilty})
    assert [edge for edge in edges if edge not in allowed()] != []


def test_a_cycle_is_found(modules, tmp_path):
    guilty = tmp_path / "guilty.py"
    guilty.write_text("from colintern.training.run import train")
    assert cycle_in(edges_of({**modules, "colintern.recipes.guilty": guilty}))


def test_the_plugin_is_a_door(modules):
    door = [name for name in modules if name.startswith("pytest_colintern")]
    assert len(door) <= 15
    inside = [name for name in modules if name.startswith("colintern")]
    importers = {
        name: imported
        for name in inside
        for imported in imports_of(modules[name].read_text(encoding="utf-8"), modules)
        if imported.startswith("pytest_colintern")
    }
    assert importers == {}


def test_the_engine_knows_nothing_of_pytest(modules):
    for name, path in modules.items():
        if name.startswith(("colintern.engine", "checks", "colintern.commands")):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            imported = {
                alias.name
                for node in ast.walk(tree)
                if isinstance(node, ast.Import)
                for alias in node.names
            }
            imported |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
            assert not {each for each in imported if (each or "").startswith(("pytest", "_pytest"))}
