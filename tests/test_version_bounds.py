from importlib.metadata import requires, version

import pytest

from colintern.artifacts.run_manifest import DatasetRecord, RunManifest
from colintern.diagnostics.provenance import missing_provenance
from colintern.diagnostics.version import release
from colintern.diagnostics.version_bounds import ENGINE_BOUNDS, Environment, version_pairs


def wrong(family=None, **versions):
    environment = Environment.of("training", versions)
    return [pair.package for pair in version_pairs(environment, family) if not pair.compatible]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("5.3.0", (5, 3)),
        ("5.3.0.dev0", (5, 3)),
        ("2.13.0+cu130", (2, 13)),
        ("v1.2", (1, 2)),
        ("0", (0,)),
        ("main", None),
        ("", None),
        (None, None),
    ],
)
def test_release_is_the_number(text, numbers):
    assert release(text) == numbers


@pytest.mark.parametrize(
    ("versions", "packages"),
    [
        ({"colpali_engine": "0.3.18", "transformers": "5.23.0", "peft": "0.20.0"}, []),
        ({"colpali-engine": "0.3.18", "transformers": "4.57.1"}, ["transformers"]),
        ({"colpali-engine": "0.3.18", "peft": "0.21.0"}, ["peft"]),
        ({"colpali-engine": "0.3.12", "transformers": "4.53.1", "Pytorch": "2.8.0"}, ["torch"]),
        ({"colpali-engine": "0.3.10", "transformers": "4.51.1"}, []),
        ({"colpali-engine": "0.3.10", "transformers": "4.52.0.dev0"}, ["transformers"]),
        ({"colpali-engine": "9.9.9", "transformers": "1.0"}, []),
        ({"transformers": "1.0"}, []),
        ({"colpali-engine": "0.3.18", "transformers": "main"}, []),
    ],
)
def test_declared_bounds_are_held(versions, packages):
    assert wrong(**versions) == packages


@pytest.mark.parametrize(("version", "packages"), [("4.46.0", ["transformers"]), ("4.52.1", [])])
def test_base_must_exist_in_transformers(version, packages):
    assert wrong("ColIntern3.5", transformers=version) == packages
    assert wrong("ColQwen2", transformers=version) == []


def test_first_record_of_a_package_wins():
    environment = Environment.of("training", {"peft": "0.20.0"}, {"PEFT": "0.1", "torch": None})
    assert environment.versions == {"peft": "0.20.0"}


def test_installed_engine_is_in_the_table():
    pytest.importorskip("colpali_engine")
    bounds = ENGINE_BOUNDS[version("colpali-engine")]
    for line in requires("colpali-engine"):
        package = next((p for p in ("transformers", "peft") if line.startswith(p)), None)
        if package is None or ";" in line:
            continue
        for part in line.removeprefix(package).split(","):
            ours = bounds[package].below if part.startswith("<") else bounds[package].lowest
            assert release(part.lstrip("<>=")) == release(ours)


def manifest(**changes):
    return RunManifest(schema="colintern.run/1", **changes)


@pytest.mark.parametrize(
    ("record", "git_hash", "count"),
    [
        (None, None, 3),
        (None, "a" * 40, 2),
        (manifest(), None, 2),
        (manifest(git_commit="a" * 40, datasets=(DatasetRecord(name="x"),)), None, 1),
        (manifest(git_commit="a" * 40, datasets=(DatasetRecord(revision="b"),)), None, 0),
        (manifest(git_commit="", datasets=(DatasetRecord(revision="b"),)), "fatal: not a git", 1),
    ],
)
def test_missing_provenance_is_counted(record, git_hash, count):
    assert len(missing_provenance(record, git_hash)) == count
