import pickle
import shutil

import pytest
from support.auditing import audit


class Shell:
    def __reduce__(self):
        import os  # noqa: PLC0415 - only its name is pickled

        return os.system, ("true",)


def write_cut_off_save(folder, run):
    folder.mkdir(parents=True)
    for name in ("adapter_model.safetensors", "trainer_state.json", "training_args.bin"):
        content = (run / name).read_bytes()
        (folder / name).write_bytes(content[: len(content) // 2])
    (folder / "optimizer.pt").write_bytes(b"PK\x03\x04 cut off")


def test_a_save_that_was_killed_is_no_fault_of_the_run(pytester, healthy_run):
    write_cut_off_save(healthy_run / ".saving" / "checkpoint-9", healthy_run)
    result = audit(pytester, "--checkpoint", healthy_run)
    assert result.of_outcome("failed", "warned", "error") == [], result.output
    assert result.outcomes["SEC001"] == result.outcomes["SEC003"] == "passed"


def test_the_same_files_elsewhere_are_a_fault(pytester, healthy_run):
    write_cut_off_save(healthy_run / "saved" / "checkpoint-9", healthy_run)
    result = audit(pytester, "--checkpoint", healthy_run)
    assert "SEC003" in result.roots


@pytest.mark.parametrize("name", ["optimizer.pt", "checkpoint-9/training_args.bin"])
def test_an_attack_in_it_is_still_named(pytester, healthy_run, name):
    path = healthy_run / ".saving" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(Shell()))
    result = audit(pytester, "--checkpoint", healthy_run)
    assert "SEC001" in result.roots


def test_a_link_out_of_it_is_still_named(pytester, healthy_run, tmp_path):
    (tmp_path / "secret.json").write_text("{}")
    shutil.rmtree(healthy_run / ".saving", ignore_errors=True)
    (healthy_run / ".saving").mkdir()
    (healthy_run / ".saving" / "config.json").symlink_to(tmp_path / "secret.json")
    result = audit(pytester, "--checkpoint", healthy_run)
    assert "SEC004" in result.roots
