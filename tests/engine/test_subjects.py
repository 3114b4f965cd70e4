import os

import pytest

from colintern.engine.subjects import SubjectError, find_subjects


def names(arguments, folder):
    return [subject.name for subject in find_subjects(arguments, folder)]


def test_a_folder_is_named_by_its_last_part(tmp_path):
    (tmp_path / "runs" / "a").mkdir(parents=True)
    assert names(["runs/a"], tmp_path) == ["a"]


def test_names_grow_until_they_differ(tmp_path):
    for path in ("x/s/a", "y/s/a", "y/b"):
        (tmp_path / path).mkdir(parents=True)
    assert names(["x/s/a", "y/s/a", "y/b"], tmp_path) == ["x/s/a", "y/s/a", "b"]


def test_the_same_folder_twice_is_one_subject(tmp_path):
    (tmp_path / "a").mkdir()
    assert names(["a", "./a", str(tmp_path / "a") + "/"], tmp_path) == ["a"]


def test_control_characters_in_a_name_are_shown_escaped(tmp_path):
    (tmp_path / "a\x1b[2Jb").mkdir()
    assert names(["a\x1b[2Jb"], tmp_path) == ["a\\x1b[2Jb"]


def test_a_hub_id_is_found_in_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    model = tmp_path / "models--org--name"
    (model / "refs").mkdir(parents=True)
    (model / "refs" / "main").write_text("abc123\n")
    (model / "snapshots" / "abc123").mkdir(parents=True)
    subject = find_subjects(["org/name"], tmp_path / "elsewhere")[0]
    assert (subject.name, subject.path) == ("org/name", model / "snapshots" / "abc123")


def test_a_folder_of_that_name_comes_before_the_hub(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert find_subjects(["org/name"], tmp_path)[0].path == tmp_path / "org" / "name"


def test_a_reference_cannot_lead_out_of_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    model = tmp_path / "models--org--name"
    (model / "refs").mkdir(parents=True)
    (model / "snapshots").mkdir()
    (model / "refs" / "main").write_text("../../..")
    with pytest.raises(SubjectError, match="hf download"):
        find_subjects(["org/name"], tmp_path)


@pytest.mark.parametrize("argument", ["nowhere", "./org/name", "a/b/c", "", "x" * 5000])
def test_what_leads_nowhere_is_refused_with_what_was_looked_for(tmp_path, argument):
    if argument == "":
        os.chdir(tmp_path)
        assert find_subjects([argument], tmp_path)[0].path == tmp_path
        return
    with pytest.raises((SubjectError, OSError), match=r"no folder|too long"):
        find_subjects([argument], tmp_path)


@pytest.mark.parametrize("trace", ["adapter_config.json", "trainer_state.json", "checkpoint-10/x"])
def test_folder_of_runs_is_refused(tmp_path, trace):
    for number in range(5):
        path = tmp_path / "runs" / f"r{number}" / trace
        path.parent.mkdir(parents=True)
        path.touch()
    (tmp_path / "runs" / "notes").mkdir()
    with pytest.raises(SubjectError, match=r"holds 5 runs.*name what to audit") as refused:
        find_subjects(["runs/"], tmp_path)
    assert "--checkpoint runs/r0 --checkpoint runs/r1" in str(refused.value)
    assert "(and 2 more)" in str(refused.value)


@pytest.mark.parametrize("own", ["trainer_state.json", "config.json", "checkpoint-5/y"])
def test_run_that_holds_runs_is_a_run(tmp_path, own):
    for path in (tmp_path / "run" / "other" / "trainer_state.json", tmp_path / "run" / own):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert find_subjects(["run"], tmp_path)[0].path == tmp_path / "run"
