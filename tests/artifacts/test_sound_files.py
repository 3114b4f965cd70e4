import json

import pytest

from colintern.artifacts.folder import sound_files
from colintern.artifacts.folder.sound_files import unsound_files

BROKEN = {
    "empty": (b"", "an empty file"),
    "cut off": (b'{"a": [1, 2', ""),
    "a list": (b"[]", "a JSON array"),
    "null": (b"null", "a JSON null"),
    "zeros": (bytes(40), ""),
    "UTF-16": ('{"a": 1}'.encode("utf-16"), "byte 0xff"),
}
WHOLE = {
    "object": b'{"a": 1}',
    "byte order mark": b'\xef\xbb\xbf{"a": 1}',
    "bare NaN": b'{"a": NaN}',
    "spaces": b' {"a": 1}\r\n\n',
    "much space": b" " * 300 + b'{"a": 1}' + b" " * 300,
}


def faults(folder, content, name="trainer_state.json"):
    path = folder / name
    path.write_bytes(content)
    return [error.found for error in unsound_files([path], None, known=())]


@pytest.mark.parametrize("kind", BROKEN)
def test_file_that_no_rule_needs_is_parsed(tmp_path, kind):
    content, found = BROKEN[kind]
    told = faults(tmp_path, content)
    assert len(told) == 1
    assert found in told[0]


@pytest.mark.parametrize("kind", ["cut off", "a list", "null", "zeros", "UTF-16"])
def test_file_beyond_the_budget_is_looked_at(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(sound_files, "_JSON_BYTES", 1)
    assert len(faults(tmp_path, BROKEN[kind][0])) == 1


@pytest.mark.parametrize("budget", [1, sound_files._JSON_BYTES])
@pytest.mark.parametrize("kind", WHOLE)
def test_whole_file_is_sound(tmp_path, monkeypatch, kind, budget):
    monkeypatch.setattr(sound_files, "_JSON_BYTES", budget)
    assert faults(tmp_path, WHOLE[kind]) == []


def test_name_of_nobody_is_not_read(tmp_path):
    assert faults(tmp_path, b"", name="notes.json") == []


def test_budget_is_for_all_files_together(tmp_path, monkeypatch):
    whole, ends_alone = json.dumps({"a": 1}).encode(), b'{"a": 1, }'
    (tmp_path / "config.json").write_bytes(whole)
    (tmp_path / "vocab.json").write_bytes(ends_alone)
    paths = [tmp_path / "config.json", tmp_path / "vocab.json"]
    for budget, num_faults in ((len(whole) + len(ends_alone), 1), (len(whole), 0)):
        monkeypatch.setattr(sound_files, "_JSON_BYTES", budget)
        assert len(list(unsound_files(paths, None, known=()))) == num_faults
