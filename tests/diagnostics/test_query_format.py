import pytest
from builders.results import task_result, write_json, write_tasks

from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.evaluation_record import EvaluationRecord
from colintern.artifacts.results.folder import read_results_folder
from colintern.artifacts.results.model_meta import ModelMeta
from colintern.artifacts.run.manifest import ProcessorRecord, RunManifest
from colintern.diagnostics.processor.query_format import (
    QueryFormat,
    era_of,
    evaluation_formats,
    mixed_benchmarks,
    training_format,
)
from colintern.diagnostics.results.result_table import result_table
from colintern.families.catalogue import family_named

ARXIV = "VidoreArxivQARetrieval"
DOCVQA = "VidoreDocVQARetrieval"
SUFFIX = "<|endoftext|>" * 10


def results_with(folder, *versions):
    for task, version in zip((ARXIV, DOCVQA), versions, strict=False):
        document = task_result(task, mteb_version=version)
        for scores in document["scores"]["test"]:
            del scores["mteb_version"]
        write_json(folder / f"{task}.json", document)
    return read_results_folder(folder, Enclosure.around(folder))


def meta(folder, loader):
    return ModelMeta(path=folder / "model_meta.json", loader=loader)


def trained(engine_version, name="ColQwen2"):
    family = family_named(name)
    return training_format(
        None, processor_prefix=None, engine_version=engine_version, family=family
    )


@pytest.mark.parametrize(
    ("version", "era"),
    [
        ("1.14.15", "once"),
        ("1.38.35", "once"),
        ("2.0.0", "once"),
        ("2.0.1", "twice"),
        ("2.12.15", "twice"),
        ("2.12.16", "engine's default"),
        ("2.19.1", "engine's default"),
        ("2.19.2", "forced prefix"),
        ("2.26.0.dev1", "forced prefix"),
        ("unknown", None),
    ],
)
def test_every_mteb_version_has_an_era(version, era):
    assert era_of(version) == era


@pytest.mark.parametrize(
    ("version", "prefix"), [("0.3.12", "Query: "), ("0.3.13", ""), ("0.3.18", ""), (None, None)]
)
def test_engine_dropped_its_prefix(version, prefix):
    assert trained(version).prefix == prefix


def test_manifest_decides_over_the_engine():
    manifest = RunManifest(
        schema="colintern.run/1", processor=ProcessorRecord(query_prefix="Q: ", query_suffix=SUFFIX)
    )
    found = training_format(
        manifest, processor_prefix="other", engine_version="0.3.18", family=family_named("ColPali")
    )
    assert (found.prefix, found.suffix) == ("Q: ", SUFFIX)


def test_saved_processor_tells_without_a_manifest():
    found = training_format(None, processor_prefix="", engine_version=None, family=None)
    assert found.prefix == ""


@pytest.mark.parametrize("name", ["ColIntern3.5", "ColIntern-tiny", "ColQwen-Omni", "ColNothing"])
def test_processor_of_another_library_is_unknown(name):
    assert not trained("0.3.18", name).known


@pytest.mark.parametrize(
    ("engine", "mteb", "agree"),
    [
        ("0.3.18", "2.26.0", False),
        ("0.3.12", "2.26.0", True),
        ("0.3.12", "2.1.4", False),
        ("0.3.18", "1.38.34", True),
        (None, "2.26.0", None),
    ],
)
def test_eras_are_compared(tmp_path, engine, mteb, agree):
    results = results_with(tmp_path, mteb)
    (evaluated,) = evaluation_formats(None, results, meta(tmp_path, "ColQwen2Wrapper"))
    assert trained(engine).agrees_with(evaluated) is agree


@pytest.mark.parametrize("loader", ["ColQwen3_5Wrapper", "ColIntern3_5Wrapper", None])
def test_custom_wrappers_are_not_judged(tmp_path, loader):
    results = results_with(tmp_path, "2.1.4", "2.26.0")
    assert evaluation_formats(None, results, meta(tmp_path, loader)) == ()
    assert mixed_benchmarks(results, meta(tmp_path, loader), result_table(results)) is None


def test_evaluation_record_decides_over_the_eras(tmp_path):
    results = results_with(tmp_path, "2.1.4")
    record = EvaluationRecord(query_prefix="", query_suffix=SUFFIX)
    (found,) = evaluation_formats(record, results, meta(tmp_path, "ColQwen2Wrapper"))
    assert (found.prefix, found.suffix) == ("", SUFFIX)


@pytest.mark.parametrize(
    ("versions", "mixed"),
    [
        (("2.1.4", "2.12.16"), True),
        (("2.1.4", "2.19.2"), True),
        (("1.38.34", "2.1.4"), True),
        (("2.1.4", "2.12.15"), False),
        (("1.38.34", "2.12.16"), False),
    ],
)
def test_only_certain_mixtures_count(tmp_path, versions, mixed):
    results = results_with(tmp_path, *versions)
    found = mixed_benchmarks(results, meta(tmp_path, "ColPaliWrapper"), result_table(results))
    assert bool(found) is mixed


def test_eras_of_two_benchmarks_are_not_mixed(tmp_path):
    results_with(tmp_path, "2.1.4")
    write_tasks(tmp_path, {"Vidore2ESGReportsHLRetrieval": 0.5})
    results = read_results_folder(tmp_path, Enclosure.around(tmp_path))
    assert mixed_benchmarks(results, meta(tmp_path, "ColPaliWrapper"), result_table(results)) == ()


def test_unknown_fields_are_not_compared():
    assert QueryFormat("Query: ").agrees_with(QueryFormat(None, SUFFIX)) is None
