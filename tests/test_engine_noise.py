import logging
import sys

from colintern.model.engine import import_engine

FAKE = """
import logging
logging.info("FastPlaid is not installed.If you want to use it")
logging.info("something else is logged")
print("pynvml not found. GPU stats will not be printed.")
print("something else is printed")
"""


def test_only_needless_lines_of_the_engine_are_left_out(tmp_path, monkeypatch, capsys, caplog):
    (tmp_path / "colpali_engine.py").write_text(FAKE)
    monkeypatch.syspath_prepend(str(tmp_path))
    # Whatever is there, also nothing, is put back behind the test.
    monkeypatch.setitem(sys.modules, "colpali_engine", None)
    del sys.modules["colpali_engine"]
    with caplog.at_level(logging.INFO):
        import_engine()
    assert capsys.readouterr().out == "something else is printed\n"
    assert caplog.messages == ["something else is logged"]
    assert logging.getLogger().filters == []
