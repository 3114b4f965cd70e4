import json

import pytest
from builders.processor import processor, tokenizer, write_processor
from hypothesis import given, settings
from hypothesis import strategies as st

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.model.processor_config import read_processor_config
from colintern.artifacts.model.tokenizer_config import read_num_token_ids, read_tokenizer_config
from colintern.diagnostics.processor.files import (
    embedding_rows,
    missing_processor_parts,
    padding_sides,
)
from colintern.diagnostics.processor.resolution import visual_tokens
from colintern.families.catalogue import family_named

QWEN = {"image_processor_type": "Qwen2VLImageProcessor", "patch_size": 14, "merge_size": 2}
IDEFICS = {
    "image_processor_type": "Idefics3ImageProcessor",
    "max_image_size": {"longest_edge": 512},
}
INTERNVL = {"image_processor_type": "GotOcr2ImageProcessorFast", "crop_to_patches": True}


def read(folder, document=None, preprocessor=None):
    paths = []
    for name, content in (("processor_config", document), ("preprocessor_config", preprocessor)):
        path = folder / f"{name}.json"
        if content is not None:
            path.write_text(json.dumps(content))
        paths.append(path if content is not None else None)
    return read_processor_config(*paths, None)


def tokens(folder, preprocessor, **document):
    return visual_tokens(read(folder, document, preprocessor))


def test_one_file_of_transformers_5_is_read(tmp_path):
    config = read(tmp_path, processor())
    assert config.processor_class == "ColIntern3_5Processor"
    assert config.image.max_patches == 5
    assert config.has_image_processor


def test_two_files_of_transformers_4_are_read(tmp_path):
    config = read(tmp_path, {"image_seq_len": 64}, {**IDEFICS, "processor_class": "X"})
    assert (config.image_seq_len, config.processor_class) == (64, "X")
    assert config.has_image_processor


def test_processor_alone_has_no_image_processor(tmp_path):
    assert not read(tmp_path, {"image_seq_len": 64}).has_image_processor


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("processor_class", 5),
        ("max_num_visual_tokens", -1),
        ("max_num_visual_tokens", 10**30),
        ("image_seq_length", "many"),
        ("query_prefix", ["x"]),
    ],
)
def test_wrong_types_name_the_key(tmp_path, key, value):
    with pytest.raises(ArtifactError, match=key):
        read(tmp_path, {key: value})


@pytest.mark.parametrize(
    ("image", "document", "most"),
    [
        ({**INTERNVL, "max_patches": 12}, {}, 13 * 256),
        ({**INTERNVL, "max_patches": 5}, {"image_seq_length": 16}, 6 * 16),
        ({**INTERNVL, "max_patches": 1}, {}, 256),
        ({**INTERNVL, "crop_to_patches": False, "max_patches": 12}, {}, 256),
        (INTERNVL, {}, 13 * 256),
        ({**QWEN, "max_pixels": 768 * 28 * 28}, {}, 768),
        ({**QWEN, "size": {"longest_edge": 1000 * 784}, "max_pixels": 784}, {}, 1000),
        ({**QWEN, "patch_size": 16, "max_pixels": 1024 * 768}, {}, 768),
        (QWEN, {}, None),
        ({**IDEFICS, "size": {"longest_edge": 2048}}, {}, 17 * 64),
        ({**IDEFICS, "size": {"longest_edge": 2000}}, {"image_seq_len": 81}, 17 * 81),
        ({**IDEFICS, "size": {"longest_edge": 512}}, {}, 64),
        ({**IDEFICS, "do_image_splitting": False, "size": {"longest_edge": 2048}}, {}, 64),
        ({"image_processor_type": "SiglipImageProcessor"}, {}, None),
        ({}, {"processor_class": "ColIntern3_5Processor"}, 13 * 256),
    ],
)
def test_most_tokens_of_a_page(tmp_path, image, document, most):
    found = tokens(tmp_path, image, **document)
    assert (found and found.most) == most


def test_formula_says_how_tokens_add_up(tmp_path):
    found = tokens(tmp_path, {**INTERNVL, "max_patches": 5})
    assert found.formula == "5 tiles + thumbnail of 256 tokens"


@pytest.mark.parametrize(
    ("document", "count"),
    [
        (tokenizer(), 6),
        ({"model": {"vocab": {"a": 0, "b": 9}}, "added_tokens": []}, 10),
        ({"model": {"vocab": {"a": 0}}, "added_tokens": [{"id": 40, "content": "x"}]}, 41),
        ({"model": {"vocab": [["a", -1.0], ["b", -2.0]]}}, 2),
        ({"model": {"vocab": {}}}, 0),
    ],
)
def test_token_ids_are_counted(tmp_path, document, count):
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(document))
    assert read_num_token_ids(path, None) == count


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"model": {"vocab": {"a": "b"}}}',
        '{"model": {"vocab": {"a": -5}}}',
        '{"model": {"vocab": {"a": 99999999999}}}',
        '{"x": ' + "[" * 100000,
        '{"model": ',
    ],
)
def test_other_tokenizer_files_are_errors(tmp_path, text):
    path = tmp_path / "tokenizer.json"
    path.write_text(text)
    with pytest.raises(ArtifactError):
        read_num_token_ids(path, None)


@settings(deadline=None)
@given(st.data())
def test_mutated_processors_raise_only_artifact_errors(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("processor")
    write_processor(folder)
    readers = {
        "processor_config.json": lambda path: visual_tokens(
            read_processor_config(path, None, None)
        ),
        "tokenizer_config.json": lambda path: read_tokenizer_config(path, None),
        "tokenizer.json": lambda path: read_num_token_ids(path, None),
    }
    name = data.draw(st.sampled_from(sorted(readers)))
    content = bytearray((folder / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    (folder / name).write_bytes(content[: data.draw(st.integers(0, len(content)))])
    try:
        readers[name](folder / name)
    except ArtifactError:
        return


@pytest.mark.parametrize(
    ("shapes", "rows"),
    [
        ({"model.language_model.embed_tokens.weight": (100, 8)}, 100),
        ({"base_model.model.embed_tokens.modules_to_save.weight": (90, 8)}, 90),
        ({"embed_tokens.weight": (100, 8), "x.embed_tokens.weight": (90, 8)}, None),
        ({"embed_tokens.weight": (100,)}, None),
        ({"lm_head.weight": (100, 8)}, None),
    ],
)
def test_embedding_rows_are_found(shapes, rows):
    assert embedding_rows(shapes) == rows


@pytest.mark.parametrize(
    ("names", "nested", "missing"),
    [
        ({"tokenizer.json", "tokenizer_config.json", "preprocessor_config.json"}, False, []),
        ({"tokenizer.json", "tokenizer_config.json"}, True, []),
        ({"vocab.json", "merges.txt", "tokenizer_config.json"}, True, []),
        ({"vocab.json", "tokenizer_config.json"}, True, ["tokenizer.json"]),
        (
            {"tokenizer.json"},
            False,
            [
                "processor_config.json (or the older preprocessor_config.json)",
                "tokenizer_config.json",
            ],
        ),
        (
            {"tokenizer.json", "tokenizer_config.json", "processor_config.json"},
            False,
            ["preprocessor_config.json"],
        ),
    ],
)
def test_missing_parts_are_named(names, nested, missing):
    assert missing_processor_parts(names, has_image_processor=nested) == missing


def sides(family, *, trained=None, evaluated=None, saved=None):
    found = padding_sides(family_named(family), trained=trained, evaluated=evaluated, saved=saved)
    return [known.side for known in found]


def test_file_decides_only_for_colpali():
    assert sides("ColPali", saved="left") == ["left"]
    assert sides("ColQwen2", saved="right") == []


@pytest.mark.parametrize("family", ["ColPali", "ColQwen2"])
def test_side_that_nothing_records_is_unknown(family):
    assert sides(family) == []


def test_recorded_sides_count_for_every_family():
    assert sides("ColQwen2", trained="right", evaluated="left") == ["right", "left"]
