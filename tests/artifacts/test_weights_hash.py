import hashlib

import pytest
from builders.results import write_json

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.evaluation_record import read_evaluation_record
from colintern.artifacts.results.model_meta import ModelMeta, read_model_meta
from colintern.artifacts.run.layout import Folder
from colintern.artifacts.tensors.weights_hash import weights_sha256
from colintern.diagnostics.results.evaluated_weights import EvaluatedWeights
from colintern.diagnostics.results.model_meta_faults import (
    embedding_dimension_of,
    meta_faults,
    unmatched_training_sets,
)


def write(folder, **contents):
    for name, content in contents.items():
        (folder / name.replace("__", "-").replace("_DOT_", ".")).write_bytes(content)


def digest(folder):
    return weights_sha256(Folder.read(folder), Enclosure.around(folder))


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_hash_is_that_of_the_file(tmp_path):
    content = bytes(range(256)) * 10_000
    write(tmp_path, adapter_model_DOT_safetensors=content, model_DOT_safetensors=b"other")
    assert digest(tmp_path) == sha256(content)


def test_shards_are_hashed_in_order_of_their_names(tmp_path):
    shards = [f"model-{number:05}-of-00012.safetensors" for number in range(1, 13)]
    for name in reversed(shards):
        (tmp_path / name).write_text(name)
    assert digest(tmp_path) == sha256("".join(shards).encode())


def test_folder_without_weights_has_no_hash(tmp_path):
    assert digest(tmp_path) is None


def test_weights_outside_are_refused(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "run" / "adapter_model.safetensors").symlink_to(tmp_path / "secret")
    with pytest.raises(ArtifactError):
        digest(tmp_path / "run")


@pytest.mark.parametrize(
    ("hashes", "dates", "same"),
    [
        (("a", "a"), (None, None), True),
        (("a", "b"), (None, None), False),
        (("a", "a"), (1.0, 1e9), True),
        (("a", None), (None, None), None),
        ((None, None), (None, None), None),
        ((None, None), (2e9, 1e9), True),
        ((None, None), (1e9, 1e9 + 1800), True),
        ((None, None), (1e9, 1e9 + 7200), False),
        ((None, None), (1e9, None), None),
    ],
)
def test_hash_decides_before_dates(hashes, dates, same):
    weights = EvaluatedWeights(*hashes, *dates)
    assert weights.same is same
    assert str(weights)


def test_evaluation_record_names_a_wrong_key(tmp_path):
    write_json(tmp_path / "a.json", {"query_prefix": 5})
    with pytest.raises(ArtifactError, match="query_prefix"):
        read_evaluation_record(tmp_path / "a.json", None)


@pytest.mark.parametrize(
    ("datasets", "names"),
    [
        ({"DocVQA": ["train"]}, ("DocVQA",)),
        (["VidoreDocVQARetrieval"], ("VidoreDocVQARetrieval",)),
        (None, ()),
    ],
)
def test_training_sets_have_two_forms(tmp_path, datasets, names):
    write_json(tmp_path / "a.json", {"training_datasets": datasets, "max_tokens": 1.5})
    assert read_model_meta(tmp_path / "a.json", None).training_names == names


@pytest.mark.parametrize(
    ("names", "unmatched"),
    [
        (["DocVQA"], ["DocVQA"]),
        (["arXivQA", "tat_dqa"], ["arXivQA", "tat_dqa"]),
        (["DocVQA", "VidoreDocVQARetrieval"], []),
        (["VidoreDocVQARetrieval"], []),
        (["our own pages", "wiki-ss-nq"], []),
    ],
)
def test_only_names_that_mteb_knows_otherwise_count(tmp_path, names, unmatched):
    meta = ModelMeta(path=tmp_path / "model_meta.json", training_datasets=names)
    assert list(unmatched_training_sets(meta)) == unmatched


REVISION = "a" * 40
SHAPES = {"model.embed_tokens.weight": (100, 8), "custom_text_proj.weight": (128, 8)}


@pytest.mark.parametrize(
    ("claims", "count"),
    [
        ({}, 0),
        ({"revision": "main"}, 1),
        ({"revision": None}, 1),
        ({"revision": "main", "open_weights": False}, 0),
        ({"revision": "0_3_0", "n_parameters": 0}, 0),
        ({"revision": "b" * 40}, 1),
        ({"revision": "f" * 64}, 1),
        ({"embed_dim": 3584}, 1),
        ({"embed_dim": [128, 64]}, 0),
        ({"n_parameters": 1824 * 1.01}, 0),
        ({"n_parameters": 1824 + 800}, 0),
        ({"n_parameters": 5000}, 1),
    ],
)
def test_wrong_claims_are_counted(tmp_path, claims, count):
    known = {"revision": REVISION, "n_parameters": 1824, "embed_dim": 128, **claims}
    meta = ModelMeta(path=tmp_path / REVISION / "model_meta.json", **known)
    faults = meta_faults(meta, SHAPES, projection="custom_text_proj", whole_model=True)
    assert len(faults) == count, faults


def test_adapter_does_not_tell_the_parameter_count(tmp_path):
    meta = ModelMeta(path=tmp_path / REVISION / "x", revision=REVISION, n_parameters=10**9)
    assert meta_faults(meta, SHAPES, projection="custom_text_proj", whole_model=False) == ()


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("base_model.model.custom_text_proj.lora_B.weight", 128),
        ("base_model.model.custom_text_proj.lora_A.weight", None),
        ("x.custom_text_proj.modules_to_save.weight", 128),
        ("my_custom_text_proj.weight", None),
    ],
)
def test_dimension_is_read_from_the_projection(name, found):
    assert embedding_dimension_of({name: (128, 16)}, "custom_text_proj") == found
