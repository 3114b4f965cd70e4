"""The packages and the imports between them, lazy ones included.

    python tests/support/package_graph.py [--modules] [--at COMMIT]

Prints every edge with the number of imports on it, and whether the table of allowed edges has it;
`--modules` names the importing modules, `--at` reads the packages of another commit.
"""
# ruff: noqa: T201 - a script

import argparse
import ast
import subprocess
import tempfile
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
ROOTS = ("colintern", "pytest_colintern", "checks")

BELOW = {
    "colintern.artifacts": "",
    "colintern.guide": "",
    "colintern.families": "artifacts",
    "colintern.facts": "artifacts families",
    "colintern.diagnostics": "artifacts families facts guide",
    "colintern.figures": "artifacts diagnostics guide",
    "colintern.engine": "artifacts families facts diagnostics figures guide",
    "colintern.recipes": "artifacts families",
    "colintern.model": "artifacts recipes",
    "colintern.pages": "model",
    "colintern.planning": "artifacts families facts diagnostics guide",
    "colintern.report": "artifacts families facts diagnostics figures engine guide recipes",
    "colintern.training": "artifacts families diagnostics engine guide model pages planning"
    " recipes",
    "colintern.evaluation": "artifacts families diagnostics engine guide model pages",
    "colintern.live": "artifacts families diagnostics engine model pages evaluation",
    "colintern.search": "artifacts families figures model planning recipes training evaluation",
    "colintern.demo": "artifacts diagnostics model pages recipes training evaluation",
    "colintern.assets": "artifacts diagnostics",
    "colintern.commands": "artifacts diagnostics engine figures live model planning training"
    " evaluation search report demo",
    "colintern.cli": "commands",
    "colintern.__main__": "cli",
    "checks": "artifacts families facts diagnostics engine guide",
    "pytest_colintern": "artifacts engine live",
}
"""Every package, and what it may import; `colintern` itself (its version) anybody may."""

BY_PATH = {("colintern.engine", "checks")}
"""No import: the engine loads the files of the rules by their path."""


def allowed():
    return {
        (package, f"colintern.{name}") for package, names in BELOW.items() for name in names.split()
    }


def package_of(module):
    parts = module.split(".")
    return ".".join(parts[:2]) if parts[0] == "colintern" else parts[0]


def modules_of(root):
    paths = [path for name in ROOTS for path in sorted((root / name).rglob("*.py"))]
    names = {path: ".".join(path.relative_to(root).with_suffix("").parts) for path in paths}
    return {name.removesuffix(".__init__"): path for path, name in names.items()}


def imports_of(source, known):
    """Every module of ours that `source` imports, at its top or when a function runs."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                found = whole if whole in known else node.module
                if found in known:
                    yield found


def edges_of(modules):
    """From (package, package) to the pairs of modules that make the edge."""
    edges = defaultdict(set)
    for module, path in modules.items():
        for imported in imports_of(path.read_text(encoding="utf-8"), modules):
            edge = package_of(module), package_of(imported)
            if edge[0] != edge[1] and imported != "colintern":
                edges[edge].add((module, imported))
    return dict(edges)


def cycle_in(edges):
    """The packages of a cycle, or None."""
    graph = defaultdict(set)
    for package, imported in edges:
        graph[package].add(imported)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return error.args[1]
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--modules", action="store_true")
    parser.add_argument("--at", metavar="COMMIT")
    options = parser.parse_args()
    if options.at is None:
        show(REPOSITORY, options.modules)
        return
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.Popen(
            ["git", "-C", str(REPOSITORY), "archive", options.at], stdout=subprocess.PIPE
        )
        subprocess.run(["tar", "-x", "-C", folder], stdin=archive.stdout, check=True)
        show(Path(folder), options.modules)


def show(root, with_modules):
    modules = modules_of(root)
    edges = edges_of(modules)
    for (package, imported), pairs in sorted(edges.items()):
        mark = "" if (package, imported) in allowed() else "   not in the table"
        print(f"{package:24} -> {imported:24} {len(pairs):4}{mark}")
        if with_modules:
            print(*(f"    {importer} -> {found}" for importer, found in sorted(pairs)), sep="\n")
    cycle = cycle_in(edges)
    print(f"{len(modules)} modules, {len(edges)} edges, cycle: {' -> '.join(cycle or ['none'])}")


if __name__ == "__main__":
    main()
