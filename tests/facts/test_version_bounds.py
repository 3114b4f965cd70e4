from importlib.metadata import requires, version

import pytest
from builders.manifest import write_manifest
from support.auditing import audit

from colintern.artifacts.run.manifest import DatasetRecord, RunManifest
from colintern.facts.versions import (
    ENGINE_BOUNDS,
    Environment,
    missing_provenance,
    release,
    unknown_engine,
    version_pairs,
)
from colintern.families.catalogue import family_named


def wrong(family=None, **versions):
    environment = Environment.of("training", versions)
    pairs = version_pairs(environment, family and family_named(family))
    return [pair.package for pair in pairs if not pair.compatible]


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
        ({"colpali-engine": "0.3.13", "transformers": "4.53.1", "torch": "2.2"}, []),
        ({"colpali-engine": "0.3.13", "transformers": "4.57.9", "peft": "0.17.1"}, []),
        ({"colpali-engine": "0.3.13", "transformers": "4.58.0"}, ["transformers"]),
        ({"colpali-engine": "0.3.13", "transformers": "4.53.0"}, ["transformers"]),
        ({"colpali-engine": "0.3.13", "peft": "0.18.0"}, ["peft"]),
        ({"colpali-engine": "0.3.18.dev4", "transformers": "4.57.1"}, ["transformers"]),
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


@pytest.mark.parametrize(
    ("engine", "unknown"),
    [("0.3.18", None), ("0.3.18.dev4", None), ("0.3.19", "0.3.19"), ("main", "main"), (None, None)],
)
def test_engine_outside_the_table_is_unknown(engine, unknown):
    assert unknown_engine(Environment.of("training", {"colpali-engine": engine})) == unknown


@pytest.mark.parametrize(
    ("versions", "outcome"),
    [
        ({"colpali-engine": "0.3.18", "transformers": "5.23.0"}, "passed"),
        ({"colpali-engine": "0.3.99", "transformers": "5.23.0"}, "no_evidence"),
        ({"colpali-engine": "0.3.99", "transformers": "4.50.0"}, "warned"),
    ],
)
def test_unknown_engine_never_passes(pytester, healthy_run, versions, outcome):
    write_manifest(healthy_run, versions=versions)
    result = audit(pytester, "--checkpoint", healthy_run, "--select", "ENV001")
    assert result.outcomes["ENV001"] == outcome
    assert ("0.3.99" in result.check("ENV001")["observed"]) is (outcome == "no_evidence")


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
