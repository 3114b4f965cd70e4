import os
import pickle
import socket
import subprocess
import sys

import pytest

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, open_regular, read_bytes
from colintern.artifacts.folder.unread_files import unread_files
from colintern.artifacts.folder.walk import walk_folder
from colintern.artifacts.run.layout import read_run_layout

needs_fifo = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")


def fault_of(path, enclosure=None, limit=100):
    with pytest.raises(ArtifactError) as raised:
        read_bytes(path, enclosure, limit=limit)
    return raised.value


def test_content_is_read_within_the_limit(tmp_path):
    path = tmp_path / "config.json"
    path.write_bytes(b"x" * 100)
    assert read_bytes(path, Enclosure.around(tmp_path), limit=100) == b"x" * 100
    assert fault_of(path, limit=99).found == "100 bytes"


def test_sparse_file_is_not_read(tmp_path):
    path = tmp_path / "config.json"
    path.touch()
    os.truncate(path, 1 << 30)
    assert fault_of(path).found == f"{1 << 30:,} bytes"


@needs_fifo
def test_pipe_does_not_block(tmp_path):
    os.mkfifo(tmp_path / "config.json")
    assert fault_of(tmp_path / "config.json").found == "a named pipe"


def test_folder_under_a_files_name(tmp_path):
    (tmp_path / "config.json").mkdir()
    assert fault_of(tmp_path / "config.json").found == "a directory"


def test_socket_and_device(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind("config.json")
        assert fault_of(tmp_path / "config.json").found == "a named pipe or socket"
    assert fault_of("/dev/null").found == "a device"


def test_links_are_followed_inside_only(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    (run / "real.json").write_bytes(b"inside")
    (tmp_path / "secret.json").write_bytes(b"outside")
    (run / "good.json").symlink_to("real.json")
    (run / "bad.json").symlink_to("../secret.json")
    enclosure = Enclosure.around(run)
    assert read_bytes(run / "good.json", enclosure, limit=9) == b"inside"
    fault = fault_of(run / "bad.json", enclosure)
    assert fault.escapes
    assert "secret.json" in fault.found


@pytest.mark.parametrize(
    ("target", "found"),
    [("loop.json", "a loop of symbolic links"), ("absent.json", "a link to a file that does not")],
)
def test_link_that_leads_nowhere(tmp_path, target, found):
    (tmp_path / "loop.json").symlink_to(target)
    fault = fault_of(tmp_path / "loop.json", Enclosure.around(tmp_path))
    assert found in fault.found
    assert not fault.escapes


def test_snapshot_of_the_cache_may_link_to_its_blobs(tmp_path):
    model = tmp_path / "models--org--name"
    snapshot = model / "snapshots" / "0123"
    snapshot.mkdir(parents=True)
    (model / "blobs").mkdir()
    (model / "blobs" / "aa").write_bytes(b"content")
    (snapshot / "config.json").symlink_to("../../blobs/aa")
    (snapshot / "other.json").symlink_to("../../../outside")
    (tmp_path / "outside").write_bytes(b"content")
    enclosure = Enclosure.around(snapshot)
    assert read_bytes(snapshot / "config.json", enclosure, limit=9) == b"content"
    assert fault_of(snapshot / "other.json", enclosure).escapes


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b", "x" * 300])
def test_impossible_name(tmp_path, name):
    for enclosure in (None, Enclosure.around(tmp_path)):
        assert not fault_of(tmp_path / name, enclosure).escapes
    assert not Enclosure.around(tmp_path).holds(tmp_path / "a\0b")


def test_pointer_is_named(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n")
    with pytest.raises(ArtifactError, match="a Git LFS pointer"):
        open_regular(path, None, limit=None)
    path.write_text("version https://example.com")
    open_regular(path, None, limit=None).close()


WITHOUT_RIGHTS = """
import os, sys
from pathlib import Path
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, read_bytes
from colintern.artifacts.folder.walk import walk_folder
from colintern.artifacts.run.layout import read_run_layout
run = Path(sys.argv[1])
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    read_bytes(run / "config.json", Enclosure.around(run), limit=9)
except ArtifactError as error:
    print(error.found)
layout = read_run_layout(run)
print(*[fault.found for fault in layout.faults])
print(*[fault.found for fault in walk_folder(run, layout.enclosure).faults])
try:
    read_run_layout(run / "checkpoint-1")
except ArtifactError as error:
    print(error.found)
"""


def test_missing_permission_is_named(tmp_path_factory):
    tmp_path = tmp_path_factory.mktemp("rights")
    for folder in (tmp_path, *list(tmp_path.parents)[:3]):
        folder.chmod(folder.stat().st_mode | 0o055)
    run = tmp_path / "run"
    (run / "checkpoint-1").mkdir(parents=True)
    (run / "config.json").write_text("{}")
    (run / "config.json").chmod(0)
    (run / "checkpoint-1").chmod(0)
    result = subprocess.run(
        [sys.executable, "-c", WITHOUT_RIGHTS, str(run)], check=True, capture_output=True, text=True
    )
    assert result.stdout == "no permission to read it\n" * 4


def test_walk_finds_links_that_lead_outside(tmp_path):
    run = tmp_path / "run"
    (run / "deep" / "deeper").mkdir(parents=True)
    (run / "file.txt").touch()
    (run / "deep" / "file.json").symlink_to("../file.txt")
    (run / "deep" / "deeper" / "out").symlink_to("../../../elsewhere")
    (run / "absolute").symlink_to("/etc")
    (run / "itself").symlink_to(".")
    (run / "loop").symlink_to("loop")
    (run / "config.json").mkdir()
    walk = walk_folder(run, Enclosure.around(run))
    assert [error.path.name for error in walk.escaping] == ["absolute", "out"]
    assert all(error.escapes for error in walk.escaping)
    found = [str(path.relative_to(run)) for path in walk.files]
    assert found == ["config.json", "deep/file.json", "file.txt", "itself", "loop"]
    assert walk.is_complete


def test_walk_has_limits(tmp_path, monkeypatch):
    monkeypatch.setattr("colintern.artifacts.limits.WALK_ENTRIES", 3)
    for number in range(4):
        (tmp_path / f"{number}.txt").touch()
    assert not walk_folder(tmp_path, Enclosure.around(tmp_path)).is_complete
    (tmp_path / "0.txt").unlink()
    assert walk_folder(tmp_path, Enclosure.around(tmp_path)).is_complete


def test_name_that_is_no_text(tmp_path):
    name = os.fsdecode(b"caf\xe9.json")
    try:
        (tmp_path / name).touch()
    except OSError:
        pytest.skip("this file system keeps names as text")
    layout = read_run_layout(tmp_path)
    walk = walk_folder(tmp_path, layout.enclosure)
    assert unread_files(tmp_path, walk.files, is_complete=True).names == (name,)
    assert fault_of(walk.files[0], limit=-1).path.name == name
    assert str(fault_of(walk.files[0], limit=-1)).isprintable()


def test_loop_as_the_subject(tmp_path):
    (tmp_path / "run").symlink_to("run")
    with pytest.raises(ArtifactError, match="a loop of symbolic links"):
        read_run_layout(tmp_path / "run")


def test_checkpoint_links(tmp_path):
    run = tmp_path / "run"
    (run / "checkpoint-5").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (run / "checkpoint-6").symlink_to("checkpoint-5")
    (run / "checkpoint-7").symlink_to("../elsewhere")
    (run / "checkpoint-8").symlink_to("checkpoint-8")
    (run / "checkpoint-9").touch()
    layout = read_run_layout(run)
    assert [checkpoint.step for checkpoint in layout.checkpoints] == [5, 6]


def test_error_travels_between_processes():
    error = ArtifactError("a.json", expected="x", found="y", remedy="Do it.", escapes=True)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.escapes) == (str(error), True)
