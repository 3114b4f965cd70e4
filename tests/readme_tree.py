"""Where things are: folders in the README, files in colintern/docs/where-things-are.md.

Made from the modules' own first lines. `python tests/readme_tree.py` writes both; a test compares.
"""

import ast
import re
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
README = REPOSITORY / "README.md"
PAGE = REPOSITORY / "colintern" / "docs" / "where-things-are.md"
SECTION = re.compile(r"(?<=## Where things are\n\n```\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)

FOLDERS = {
    "colintern": "command line, the guide's thresholds, the families of models",
    "colintern/commands": "one module a command",
    "colintern/artifacts": "files into frozen records: no judgement, no torch",
    "colintern/diagnostics": "records into measurements: pure functions, no files, no torch",
    "colintern/model": "the model and its processor, LoRA, loading and merging [torch]",
    "colintern/training": "recipes, data, trainer, callbacks, run manifest [torch]",
    "colintern/evaluation": "scoring a model [torch]",
    "colintern/planning": "hyperparameters, memory and search",
    "colintern/report": "figures, training report, comparison",
    "colintern/pages": "the page-retrieval benchmark that we generate",
    "colintern/assets": "what is bundled: figures, the tiny base, demo runs",
    "pytest_colintern": "the plugin",
    "pytest_colintern/evidence": "what rules may ask for, by name",
    "checks": "the rules, one file a family",
}
OTHERS = {
    "colintern/docs": "the pages that `colintern docs` prints",
    "tests": "our own tests",
    "tests/builders": "healthy and hostile artefacts, written from nothing",
    "tests/cases": "a bad and a good example of every rule, and the text it prints",
    "tests/benchmarks": "measurements; not part of the test run",
    ".ci": "what must hold before a change lands",
}


def tracked():
    done = subprocess.run(
        ["git", "ls-files"], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    return [Path(line) for line in done.stdout.split("\n") if line]


def first_line(path):
    docstring = ast.get_docstring(ast.parse((REPOSITORY / path).read_text(encoding="utf-8"))) or ""
    return docstring.split("\n")[0].rstrip(".")


def modules_of(folder, files):
    return [
        path
        for path in files
        if path.parent == Path(folder) and path.suffix == ".py" and path.name != "__init__.py"
    ]


def tree():
    """One line a folder."""
    files = tracked()
    folders = {
        folder: text
        for folder, text in (FOLDERS | OTHERS).items()
        if any(path.is_relative_to(folder) for path in files)
    }
    width = max(len(folder) for folder in folders) + 1
    return "".join(f"{folder + '/':<{width}}  {text}\n" for folder, text in folders.items())


def page():
    """One line a file."""
    files = tracked()
    sections = ["# Where things are\n\nOne line a file; each module says it of itself.\n"]
    for folder, text in FOLDERS.items():
        if modules := modules_of(folder, files):
            lines = [f"- `{path.name}`: {first_line(path)}\n" for path in modules]
            sections.append(f"## {folder}\n\n{text[:1].upper()}{text[1:]}.\n\n{''.join(lines)}")
    return "\n".join(sections)


if __name__ == "__main__":
    readme = SECTION.sub(lambda _: tree(), README.read_text(encoding="utf-8"))
    README.write_text(readme, encoding="utf-8")
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
