import re
import subprocess
from pathlib import Path

import pytest
from readme_commands import quick_start_commands

REPOSITORY = Path(__file__).parent.parent


def tracked_files():
    done = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.skip("not a git checkout")
    return [Path(line) for line in done.stdout.split("\n") if line]


def tree_of_readme():
    """Every path that the section "Where things are" lists."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    block = re.search(r"## Where things are\n.*?^```\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[
        1
    ]
    paths, folders = [], []
    for line in block.split("\n"):
        if not line.strip():
            continue
        depth = (len(line) - len(line.lstrip())) // 2
        folders[depth:] = [line.split()[0].rstrip("/")]
        paths.append(Path(*folders))
    return paths


def test_the_readme_tree_lists_what_is_there():
    files = tracked_files()
    present = set(files) | {parent for path in files for parent in path.parents}
    assert [str(path) for path in tree_of_readme() if path not in present] == []


@pytest.mark.parametrize("folder", ["colintern", "pytest_colintern", "checks"])
def test_the_readme_tree_leaves_no_module_out(folder):
    listed = set(tree_of_readme())
    modules = [
        path
        for path in tracked_files()
        if path.parts[0] == folder and path.suffix == ".py" and path.name != "__init__.py"
    ]
    assert [str(path) for path in modules if path not in listed] == []


def test_only_the_agreed_names_stand_at_the_top():
    agreed = {"pyproject.toml", "README.md", "conftest.py", ".gitignore", ".ci"}
    agreed |= {"colintern", "pytest_colintern", "checks", "tests"}
    assert {path.parts[0] for path in tracked_files()} == agreed


def test_the_quick_start_is_two_commands():
    commands = quick_start_commands()
    assert "--checkpoint demo" in commands["audit"]
    assert commands["tests"].endswith("pytest")


def test_the_root_conftest_only_loads_the_plugin():
    lines = (REPOSITORY / "conftest.py").read_text().strip().split("\n")
    assert lines[-1] == 'pytest_plugins = ["pytest_colintern.plugin"]'
    assert len(lines) == 3


def test_no_lock_file_is_tracked():
    assert Path("uv.lock") not in tracked_files()
