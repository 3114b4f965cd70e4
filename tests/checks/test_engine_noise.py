import logging
import sys

import pytest
from click.testing import CliRunner

from colintern.cli import main
from colintern.model.quiet_import import import_engine

FAKE = """
import logging
logging.warning("FastPlaid is not installed.If you want to use it")
logging.warning("something else is logged")
print("pynvml not found. GPU stats will not be printed.")
print("something else is printed")
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    path = tmp_path / "colpali_engine.py"
    path.write_text(FAKE)
    monkeypatch.syspath_prepend(str(tmp_path))
    # Whatever is there, also nothing, is put back behind the test.
    monkeypatch.setitem(sys.modules, "colpali_engine", None)
    del sys.modules["colpali_engine"]
    return path


@pytest.mark.usefixtures("fake")
def test_only_needless_lines_of_the_engine_are_left_out(capsys, caplog):
    import_engine()
    assert capsys.readouterr().out == "something else is printed\n"
    assert caplog.messages == ["something else is logged"]
    assert logging.getLogger().filters == []


COMMANDS = {
    "train": ("--recipe", "tiny", "--output-dir", "RUN"),
    "search": ("--recipe", "tiny", "--output-dir", "RUN", "--trials", "0"),
    "demo": ("--output-dir", "RUN"),
    "init-base": ("colintern/tiny-base", "--output-dir", "RUN"),
    "merge": ("demo:healthy", "--output-dir", "RUN"),
    "evaluate": ("--model-path", "demo:healthy", "--results-dir", "RUN"),
    "vidore-eval": ("--checkpoint-path", "demo:healthy", "--results-dir", "RUN"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_leave_out_the_needless_lines(command, fake, tmp_path, caplog):
    pytest.importorskip("torch")
    pytest.importorskip("optuna")
    # It ends the command at its first import, wherever that is.
    fake.write_text(FAKE + 'raise ModuleNotFoundError("here", name="colpali_engine")\n')
    words = [word.replace("RUN", str(tmp_path / "run")) for word in COMMANDS[command]]
    done = CliRunner().invoke(main, [command, *words])
    assert done.exit_code == 2, done.output
    assert "(colpali_engine is missing)" in done.stderr
    assert "something else is printed" in done.stdout
    assert "something else is logged" in caplog.messages
    assert "FastPlaid" not in done.output + caplog.text
    assert "pynvml" not in done.output
