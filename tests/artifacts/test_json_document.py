import json
import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.json.document import convert, parse_json, read_json_object


class Record(msgspec.Struct, frozen=True, kw_only=True):
    number: float | None = None
    count: int | None = None
    text: str | None = None
    names: list[str] | None = None
    inner: dict[str, int] | None = None


class Needy(msgspec.Struct, frozen=True):
    number: float


def read(tmp_path, content):
    path = tmp_path / "config.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_json_object(path, None)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        ('{"a": 1}', {"a": 1}),
        ('\ufeff{"a": 1}', {"a": 1}),
        ('{"a": 1}\r\n', {"a": 1}),
        ('{"a": -Infinity}', {"a": -math.inf}),
        ('{"a": 1e999}', {"a": math.inf}),
        ('{"a": "\\ud800"}', {"a": "\ud800"}),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ("{}", {}),
    ],
)
def test_document_is_read(tmp_path, content, value):
    assert read(tmp_path, content) == value


def test_bare_nan_is_read(tmp_path):
    assert math.isnan(read(tmp_path, '{"a": NaN}')["a"])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("", "an empty file"),
        ("  \n", "an empty file"),
        ("[]", "a JSON array"),
        ("3", "a JSON number"),
        ("true", "a JSON boolean"),
        ('"a"', "a JSON string"),
        ("null", "a JSON null"),
        ('{"a": 1', "Expecting ',' delimiter at line 1"),
        ('{"a": "b', "Unterminated string starting at line 1"),
        ("{'a': 1}", "at line 1"),
        (b'{"a": "\xff"}', "byte 0xff at offset 7"),
        ('{"a": ' + "9" * 5000 + "}", "4300 digits"),
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "deeper nesting"),
        ("[" * 100_000, "deeper nesting"),
        ('{"a":' * 70 + "1" + "}" * 70, "deeper nesting"),
    ],
)
def test_broken_document_is_named(tmp_path, content, found):
    with pytest.raises(ArtifactError) as raised:
        read(tmp_path, content)
    assert found in raised.value.found
    assert str(raised.value).isprintable()


def test_number_of_values_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "JSON_CONTAINERS", 3)
    assert read(tmp_path, '{"a": [[]]}') == {"a": [[]]}
    with pytest.raises(ArtifactError, match="objects and arrays"):
        read(tmp_path, '{"a": [[], []]}')
    monkeypatch.setattr(limits, "JSON_COMMAS", 1)
    with pytest.raises(ArtifactError, match="objects and arrays"):
        read(tmp_path, '{"a": [1, 2, 3]}')


def test_record_takes_what_it_knows(tmp_path):
    record = convert(tmp_path, {"number": 1, "other": object(), "text": "\ud800"}, Record)
    assert (record.number, record.count, record.text) == (1.0, None, "\ud800")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("number", "1"),
        ("number", True),
        ("number", [1]),
        ("count", 1.5),
        ("count", True),
        ("text", 1),
        ("names", "a"),
        ("names", [1]),
        ("inner", [1]),
        ("inner", {"a": "b"}),
        ("inner", {"\ud800": "b"}),
    ],
)
def test_wrong_type_names_the_key(tmp_path, key, value):
    with pytest.raises(ArtifactError) as raised:
        convert(tmp_path / "config.json", {key: value}, Record)
    assert f"`{key}" in raised.value.found
    assert str(raised.value).isprintable()


def fault_of(path, document):
    """What is wrong with the document, or None; anything but an ArtifactError fails the test."""
    try:
        convert(path, document, Record)
    except ArtifactError as error:
        return error
    return None


@pytest.mark.parametrize("value", [10**30, -(10**400), 10**4000])
def test_huge_integer_raises_nothing_else(tmp_path, value):
    for key in ("number", "count"):
        assert str(fault_of(tmp_path, {key: value})).isprintable()


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(st.dictionaries(st.sampled_from(Record.__struct_fields__), JSON))
def test_any_document_is_a_record_or_an_error(tmp_path_factory, document):
    fault = fault_of(tmp_path_factory.getbasetemp(), document)
    assert fault is None or "`" in fault.found + fault.expected


@given(st.binary(max_size=40))
def test_noise_raises_nothing_else(tmp_path_factory, content):
    try:
        parse_json(tmp_path_factory.getbasetemp(), content)
    except ArtifactError:
        return
    json.loads(content)


@given(JSON, st.booleans())
def test_quick_parser_reads_what_python_reads(tmp_path_factory, document, ascii_only):
    text = json.dumps(document, ensure_ascii=ascii_only)
    parsed = parse_json(tmp_path_factory.getbasetemp(), text.encode("utf-8", "surrogatepass"))
    assert json.dumps(parsed) == json.dumps(document)


@pytest.mark.parametrize(
    ("document", "expected", "found"),
    [
        ({"count": "5"}, "a whole number or null at `count`", '`count` is the text "5"'),
        ({"count": True}, "a whole number or null at `count`", "`count` is true"),
        ({"names": [1]}, "a text at `names[0]`", "`names[0]` is 1"),
        ({"inner": {"b.c": "d"}}, "a whole number at `inner.b.c`", '`inner.b.c` is the text "d"'),
        ({"inner": {"a": 1, "b": []}}, "a whole number at `inner.b`", "`inner.b` is a list"),
        ({"text": {}}, "a text or null at `text`", "`text` is an object"),
    ],
)
def test_fault_is_told_by_key_and_value(tmp_path, document, expected, found):
    error = fault_of(tmp_path, document)
    assert (error.expected, error.found) == (expected, found)
    assert fault_of(tmp_path, {}) is None


def test_missing_key_is_named_with_its_place(tmp_path):
    with pytest.raises(ArtifactError) as raised:
        convert(tmp_path, {}, Needy, within="scores.test[0]")
    assert raised.value.expected == "the key `scores.test[0].number`"
    assert convert(tmp_path, {"number": 1}, Needy).number == 1
