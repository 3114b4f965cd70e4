from pathlib import Path

import pytest
from support import readme_tree
from support.readme_commands import quick_start_commands

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def files():
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a git checkout")
    return readme_tree.tracked()


@pytest.mark.usefixtures("files")
def test_the_readme_tree_is_that_of_the_repository():
    shown = readme_tree.SECTION.search(readme_tree.README.read_text(encoding="utf-8"))[0]
    assert shown == readme_tree.tree(), "python tests/support/readme_tree.py writes it anew"
    assert readme_tree.PAGE.read_text(encoding="utf-8") == readme_tree.page()


def test_no_package_is_missing_from_the_trees(files):
    # Of what git tracks, not of what the generator of the trees has found.
    packages = {path.parent.as_posix() for path in files if path.name == "__init__.py"}
    packages = {name for name in packages if name.split("/")[0] in readme_tree.PACKAGES}
    page = readme_tree.PAGE.read_text(encoding="utf-8")
    readme = readme_tree.README.read_text(encoding="utf-8")
    modules = [p for p in files if p.suffix == ".py" and p.parts[0] in readme_tree.PACKAGES]
    alone = [p for p in modules if p.name != "__init__.py" and f"- `{p.name}`: " not in page]
    assert not alone
    assert [name for name in packages if name.count("/") == 1 and f"\n{name}/ " not in readme] == []


def test_every_module_says_what_it_is(files):
    packages = ("colintern", "pytest_colintern", "checks")
    modules = [path for path in files if path.parts[0] in packages and path.suffix == ".py"]
    assert [str(path) for path in modules if not readme_tree.first_line(path)] == []


def test_only_the_agreed_names_stand_at_the_top(files):
    agreed = {"pyproject.toml", "README.md", "conftest.py", ".gitignore", ".ci"}
    agreed |= {"colintern", "pytest_colintern", "checks", "tests"}
    assert {path.parts[0] for path in files} == agreed


def test_the_quick_start_is_two_commands():
    commands = quick_start_commands()
    assert "--checkpoint demo" in commands["audit"]
    assert commands["tests"].endswith(".venv/bin/pytest -n auto")


def test_the_root_conftest_only_loads_the_plugin():
    lines = (REPOSITORY / "conftest.py").read_text().strip().split("\n")
    assert lines[-1] == 'pytest_plugins = ["pytest_colintern.plugin"]'
    assert len(lines) == 3


def test_no_lock_file_is_tracked(files):
    assert Path("uv.lock") not in files
