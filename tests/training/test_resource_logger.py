from types import SimpleNamespace

import pytest

pytest.importorskip("torch")
pytest.importorskip("psutil")

from colintern.artifacts.logs.resource_log import read_resource_log
from colintern.training.resources import ResourceLogger, nvml_sampler

GIBIBYTE = 2**30


def run(logger, steps, *, first=1, main=True, every=2):
    state = SimpleNamespace(is_world_process_zero=main, global_step=first - 1)
    logger.on_train_begin(None, state, None)
    for step in range(first, first + steps):
        state.global_step = step
        logger.on_step_begin()
        logger.on_step_end(None, state, None)
        if step % every == 0:
            logger.on_log(None, state, None, logs={"loss": 1.0})
            logger.on_log(None, state, None, logs={"eval_loss": 1.0})


def rows_of(folder):
    return read_resource_log(folder / "colintern_resources.jsonl", None).rows


def test_a_row_a_logging_step_is_written_and_read_back(tmp_path):
    run(ResourceLogger(tmp_path, gpu=lambda: (8 * GIBIBYTE, 16 * GIBIBYTE, 0.9)), 6)
    rows = rows_of(tmp_path)
    assert [row.step for row in rows] == [2, 4, 6]
    assert rows[0].gpu_memory_used == 8 * GIBIBYTE
    assert rows[0].gpu_utilisation == pytest.approx(0.9)
    assert 0 < rows[0].cpu_memory_used < rows[0].cpu_memory_total
    assert rows[0].step_seconds >= 0
    assert rows[0].time < rows[-1].time + 1


def test_the_time_of_a_step_is_the_mean_of_the_steps_of_its_row(tmp_path, monkeypatch):
    # Begin and end of six steps; what lies between two is evaluation and saving.
    times = iter([0, 1, 50, 52, 60, 66, 90, 91, 91, 92, 92, 93])
    monkeypatch.setattr("colintern.training.resources.time.monotonic", lambda: next(times))
    run(ResourceLogger(tmp_path, gpu=lambda: None), 6, every=3)
    assert [row.step_seconds for row in rows_of(tmp_path)] == [3.0, 1.0]


def test_without_a_gpu_its_fields_are_null(tmp_path):
    run(ResourceLogger(tmp_path, gpu=lambda: None), 2)
    (row,) = rows_of(tmp_path)
    assert (row.gpu_memory_used, row.gpu_memory_total, row.gpu_utilisation) == (None, None, None)


def test_a_run_that_goes_on_writes_behind_the_last_whole_line(tmp_path):
    run(ResourceLogger(tmp_path, gpu=lambda: None), 4)
    with (tmp_path / "colintern_resources.jsonl").open("ab") as file:
        file.write(b'{"step": 5, "ti')
    run(ResourceLogger(tmp_path, gpu=lambda: None), 4, first=3)
    assert [row.step for row in rows_of(tmp_path)] == [2, 4, 4, 6]


def test_only_the_first_process_writes(tmp_path):
    run(ResourceLogger(tmp_path, gpu=lambda: None), 4, main=False)
    assert list(tmp_path.iterdir()) == []


def test_a_machine_without_a_gpu_has_a_sampler_of_nothing(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    assert nvml_sampler()() is None
