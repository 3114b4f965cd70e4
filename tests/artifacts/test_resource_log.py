import json
from contextlib import suppress

import pytest
from builders.resources import GIBIBYTE, ROW, rows, write_resources
from hypothesis import given
from hypothesis import strategies as st

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.logs.resource_log import ResourceLog, ResourceRow, read_resource_log
from colintern.diagnostics.resource_use import resource_use


def read(folder, content):
    path = folder / "colintern_resources.jsonl"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_resource_log(path, None)


def log_of(found, tmp_path):
    return read(tmp_path, "".join(json.dumps(row) + "\n" for row in found))


def test_rows_are_read_in_order(tmp_path):
    write_resources(tmp_path, count=3)
    log = read_resource_log(tmp_path / "colintern_resources.jsonl", None)
    assert [row.step for row in log.rows] == [10, 20, 30]
    assert log.rows[0].gpu_memory_used == ROW["gpu_memory_used"]


def test_a_last_line_that_was_cut_off_is_left_out(tmp_path):
    assert [row.step for row in read(tmp_path, '{"step": 10}\n{"step": 2').rows] == [10]
    assert read(tmp_path, "").rows == ()


@pytest.mark.parametrize(
    "line",
    [
        '{"step": -1}',
        '{"step": 1.5}',
        '{"step": 1, "gpu_utilisation": 96}',
        '{"step": 1, "gpu_utilisation": NaN}',
        '{"step": 1, "step_seconds": 1e999}',
        '{"step": 1, "cpu_memory_used": "all"}',
        "[]",
        "",
        "{" * 5000,
        "\udcff",
    ],
)
def test_a_line_that_is_no_row_is_named(tmp_path, line):
    content = b'{"step": 1}\n' + line.encode("utf-8", "surrogateescape") + b"\n"
    with pytest.raises(ArtifactError, match="line 2"):
        read(tmp_path, content)


def test_too_many_rows_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "RESOURCE_ROWS", 2)
    assert len(read(tmp_path, '{"step": 1}\n' * 2).rows) == 2
    with pytest.raises(ArtifactError, match="at most 2 rows"):
        read(tmp_path, '{"step": 1}\n' * 3)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_log_or_an_error(tmp_path_factory, content):
    with suppress(ArtifactError):
        assert isinstance(read(tmp_path_factory.mktemp("log"), content), ResourceLog)


def test_peaks_means_and_medians(tmp_path):
    found = rows(5)
    found[0] |= {"step_seconds": 90.0, "gpu_utilisation": 0.0}  # the start is no step
    found[2] |= {"gpu_memory_used": 79 * GIBIBYTE}
    found[3] |= {"step_seconds": 40.0}
    use = resource_use(log_of(found, tmp_path))
    assert use.gpu_utilisation == pytest.approx(0.96)
    assert use.step_seconds == pytest.approx(3.1)
    assert use.gpu_memory.step == 30
    assert str(use.gpu_memory) == "79.0 of 80.0 GiB (99%) at step 30"


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_rows_say_nothing_of_time(tmp_path, count):
    use = resource_use(log_of(rows(count), tmp_path))
    assert (use.gpu_utilisation, use.step_seconds) == (None, None)
    assert (use.cpu_memory is None) == (count == 0)


def test_a_run_without_a_gpu_says_nothing_of_it(tmp_path):
    nothing = {key: None for key in ROW if key.startswith("gpu")}
    use = resource_use(log_of(rows(9, **nothing), tmp_path))
    assert (use.gpu_memory, use.gpu_utilisation) == (None, None)
    assert use.cpu_memory.ratio == pytest.approx(40 / 128)


def test_a_total_of_zero_is_no_measurement(tmp_path):
    use = resource_use(log_of(rows(4, cpu_memory_total=0), tmp_path))
    assert use.cpu_memory is None
    assert ResourceRow(step=0).time is None
