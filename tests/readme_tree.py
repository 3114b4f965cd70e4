"""The README's section "Where things are", made from the modules' own first lines.

`python tests/readme_tree.py` writes it into the README; a test compares the two.
"""

import ast
import re
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
README = REPOSITORY / "README.md"
SECTION = re.compile(r"(?<=## Where things are\n\n```\n).*?(?=^```$)", re.MULTILINE | re.DOTALL)

FOLDERS = {
    "colintern": "",
    "colintern/artifacts": "files into frozen records: no judgement, no torch",
    "colintern/diagnostics": "records into measurements: pure functions, no files, no torch",
    "colintern/model": "the model and its processor, LoRA, loading and merging [torch]",
    "colintern/training": "recipes, data, trainer, callbacks, run manifest [torch]",
    "colintern/evaluation": "scoring a model [torch]",
    "colintern/pages": "the page-retrieval benchmark that we generate",
    "colintern/assets": "what is bundled: figures, the tiny base, demo runs",
    "pytest_colintern": "the plugin",
    "pytest_colintern/evidence": "what rules may ask for, by name",
    "checks": "the rules, one file a family",
}
OTHERS = {
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


def tree():
    """One line a file of the packages, in the order of `FOLDERS`, then one a folder of the rest."""
    files = tracked()
    lines = []
    for folder, text in FOLDERS.items():
        modules = [
            path
            for path in files
            if path.parent == Path(folder) and path.suffix == ".py" and path.name != "__init__.py"
        ]
        if not modules:
            continue
        lines.append(f"{folder}/  {text}".rstrip())
        width = max(len(path.name) for path in modules)
        lines.extend(f"  {path.name:<{width}}  {first_line(path)}" for path in modules)
    width = max(len(folder) for folder in OTHERS)
    lines.extend(f"{folder + '/':<{width + 1}}  {text}" for folder, text in OTHERS.items())
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    README.write_text(
        SECTION.sub(lambda _: tree(), README.read_text(encoding="utf-8")), encoding="utf-8"
    )
