"""Where things are: rooms in the README, every module in colintern/docs/where-things-are.md.

Made from the first lines of the packages and modules themselves: `python
tests/support/readme_tree.py` writes both, and a test compares them with what git tracks.
"""

import ast
import re
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
README = REPOSITORY / "README.md"
PAGE = REPOSITORY / "colintern" / "docs" / "where-things-are.md"
SECTION = re.compile(r"(?<=## Where things are\n\n```\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)

PACKAGES = ("colintern", "pytest_colintern", "checks")
NO_PACKAGES = {
    "colintern/docs": "The pages that `colintern docs` prints",
    "tests": "Our own tests, in the rooms of what they test",
    "tests/support": "What several of them use",
    "tests/builders": "Healthy and hostile artefacts, written from nothing",
    "tests/cases": "A bad and a good example of every rule, and the text it prints",
    "tests/benchmarks": "Measurements; not part of the test run",
    ".ci": "What must hold before a change lands",
}
_SHOWN_DEPTH = 2


def tracked():
    done = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return [Path(line) for line in done.stdout.split("\n") if line]


def first_line(path):
    docstring = ast.get_docstring(ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))) or ""
    return docstring.split("\n")[0].rstrip(".")


def rooms():
    """Every folder of a package, with what its `__init__.py` says of it; `checks` has rooms too."""
    modules = [path for path in tracked() if path.suffix == ".py" and path.parts[0] in PACKAGES]
    folders = sorted({path.parent for path in modules})
    return {folder: [path for path in modules if path.parent == folder] for folder in folders}


def text_of(folder):
    """What a room holds: its own first line, or those of the modules in a folder without one."""
    package = folder / "__init__.py"
    return first_line(package) if (REPOSITORY / package).exists() else ""


def tree():
    """One line a room."""
    shown = {
        folder.as_posix(): text_of(folder)
        for folder in rooms()
        if len(folder.parts) <= _SHOWN_DEPTH and text_of(folder)
    } | NO_PACKAGES
    width = max(len(folder) for folder in shown) + 1
    return "".join(f"{folder + '/':<{width}}  {text}\n" for folder, text in shown.items())


def page():
    """One line a module."""
    sections = ["# Where things are\n\nOne line a module; each says it of itself.\n"]
    for folder, modules in rooms().items():
        lines = [
            f"- `{path.name}`: {first_line(path)}\n"
            for path in modules
            if path.name != "__init__.py"
        ]
        if lines:
            heading = f"## {folder}\n\n" + (f"{text_of(folder)}.\n\n" if text_of(folder) else "")
            sections.append(heading + "".join(lines))
    return "\n".join(sections)


if __name__ == "__main__":
    readme = SECTION.sub(lambda _: tree(), README.read_text(encoding="utf-8"))
    README.write_text(readme, encoding="utf-8")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
