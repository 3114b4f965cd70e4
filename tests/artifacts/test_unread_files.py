import shutil
from pathlib import Path

import pytest
from builders.hostile import PAYLOADS
from support.auditing import audit

import colintern
from colintern.artifacts.folder.unread_files import MOST_NAMED, unread_files

ROOT = Path("/run")
DEMO = Path(colintern.__file__).parent / "assets" / "demo" / "healthy"


def unread(*names, is_complete=True):
    return unread_files(ROOT, [ROOT / name for name in names], is_complete=is_complete)


@pytest.mark.parametrize(
    ("name", "is_read"),
    [
        ("adapter_config.json", True),
        ("checkpoint-5/trainer_state.json", True),
        ("model-00001-of-00002.safetensors", True),
        ("checkpoint-5/optimizer.pt", True),
        ("deep/down/config.json", True),
        ("results/ORG__NAME/1/VidoreArxivQARetrieval.json", True),
        ("consolidated.safetensors", False),
        ("other/adapter_model.safetensors", False),
        ("checkpoint-5/other/adapter_model.safetensors", False),
        ("results/notes.txt", False),
        ("train.yaml", False),
        ("runs/events.out.tfevents.1", False),
    ],
)
def test_name_is_read_or_told(name, is_read):
    found = unread("trainer_state.json", name)
    assert found.num_files == (0 if is_read else 1)
    assert bool(found.names) is not is_read


def test_folder_of_nothing_else_is_one_name():
    found = unread("config.json", "runs/a", "runs/b/c", "checkpoint-1/a.txt", "checkpoint-1/x.pt")
    assert found.names == ("checkpoint-1/a.txt", "runs/ (2 files)")
    assert found.num_files == 3


def test_names_are_bounded():
    found = unread(*(f"{number}.txt" for number in range(MOST_NAMED * 2)))
    assert (len(found.names), found.num_files) == (MOST_NAMED, MOST_NAMED * 2)


def test_incomplete_list_says_so():
    assert unread("config.json", is_complete=False).names[-1].startswith("what lies deeper")


def test_weights_of_a_checkpoint_are_told(pytester, tmp_path):
    run = shutil.copytree(DEMO, tmp_path / "run")
    own = audit(pytester, "--checkpoint", run)
    assert own.document["subjects"][0]["weights_of"] is None
    assert "weights judged" not in own.output
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (run / name).unlink()
    result = audit(pytester, "--checkpoint", run)
    assert result.document["subjects"][0]["weights_of"] == "checkpoint-500"
    assert "weights judged: those of checkpoint-500 in run" in result.output


def test_audit_names_what_it_did_not_judge(pytester, healthy_run):
    clean = audit(pytester, "--checkpoint", healthy_run, "-v")
    assert clean.document["subjects"][0]["ignored"] == []
    assert "not judged by any rule" not in clean.output
    (healthy_run / "notes\x1b[31m.txt").touch()
    second = healthy_run / "second"
    second.mkdir()
    (second / "adapter_model.safetensors").write_bytes(b"no header")
    markdown = pytester.path / "audit.md"
    result = audit(pytester, "--checkpoint", healthy_run, "-v", f"--audit-markdown={markdown}")
    subject = result.document["subjects"][0]
    assert subject["ignored"] == ["notes\\x1b[31m.txt", "second/ (1 file)"]
    assert subject["num_ignored"] == 2
    told = "not judged by any rule: 2 files: notes\\x1b[31m.txt, second/ (1 file)"
    assert told in result.output
    assert "Not judged by any rule" in markdown.read_text()
    assert "not judged by any rule" not in audit(pytester, "--checkpoint", healthy_run).output


@pytest.mark.parametrize(
    ("limit", "without_evidence"),
    [
        ("colintern.artifacts.limits.WALK_ENTRIES", {"SEC001", "SEC002", "SEC003", "SEC004"}),
        ("colintern.artifacts.folder.pickles._MOST_PEEKS", {"SEC001"}),
        ("colintern.artifacts.folder.remote_code._MOST_FILES", {"SEC002"}),
    ],
)
def test_part_of_a_folder_is_no_pass(pytester, healthy_run, monkeypatch, limit, without_evidence):
    for number in range(3):
        (healthy_run / f"no-suffix-{number}").write_text("text")
    clean = audit(pytester, "--checkpoint", healthy_run, "--select", "SEC")
    assert clean.of_outcome("passed") == ["SEC001", "SEC002", "SEC003", "SEC004"]
    monkeypatch.setattr(limit, 1)
    result = audit(pytester, "--checkpoint", healthy_run, "--select", "SEC")
    assert set(result.of_outcome("no_evidence")) == without_evidence, result.output


def test_what_was_seen_is_found_in_part_of_a_folder(pytester, healthy_run, monkeypatch):
    for number in range(3):
        (healthy_run / f"no-suffix-{number}").write_text("text")
    (healthy_run / "a.pkl").write_bytes(PAYLOADS["os.system"])
    monkeypatch.setattr("colintern.artifacts.folder.pickles._MOST_PEEKS", 1)
    found = audit(pytester, "--checkpoint", healthy_run, "--select", "SEC001")
    assert found.outcomes["SEC001"] == "failed"
