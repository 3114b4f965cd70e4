import contextlib
import json
import math
import os
import pty
import signal
import subprocess
import sys
import time

import msgspec
import pytest
from builders.manifest import write_manifest
from builders.training_log import write_training_log
from click.testing import CliRunner

from colintern.artifacts.running.log import append_row, end_with_a_whole_line, read_live_log
from colintern.artifacts.running.record import (
    LiveFinding,
    LiveRecord,
    process_of,
    read_live_record,
    this_process,
    write_live_record,
)
from colintern.artifacts.running.run import read_running_run
from colintern.cli import main
from colintern.diagnostics.log.training_progress import is_quiet, pace_of, seconds_left
from colintern.engine.running.findings import findings_of
from colintern.figures.sparkline import sparkline
from colintern.report.watch_screen import Style, news, screen, status_of

NOW = 1_800_000_000.0
FINDING = LiveFinding(
    rule="CFG003",
    name="learning-rate-off-target",
    severity="error",
    step=0,
    last_step=0,
    holds=True,
    observed="learning rate 0.2",
    expected="0.002",
    fix="lower it",
)


def write_run(folder, *, steps=200, status="training", findings=(), loss=None, written=NOW):
    folder.mkdir(parents=True, exist_ok=True)
    for step in range(10, steps + 1, 10):
        value = 4.0 - step / 100 if loss is None else loss
        row = {"loss": value, "grad_norm": 2.0, "learning_rate": 1e-3, "epoch": step / 100}
        log = folder / "colintern_log.jsonl"
        append_row(log, row, step=step, time=written - (steps - step))
    record = LiveRecord(
        status=status, stop_on="never", max_steps=500, findings=findings, judged=("LOG001",)
    )
    write_live_record(folder / "colintern_live.json", record)
    for path in folder.iterdir():
        os.utime(path, (written, written))
    return folder


def shown(folder, *, now=NOW, style=None):
    run = read_running_run(folder)
    return "\n".join(screen(run, findings_of(run), style or Style(width=120), now))


@pytest.mark.parametrize(
    ("values", "width", "line"),
    [
        ([3.0, 2.0, 1.0], 3, "█▅▁"),
        ([4.0, 4.0, 2.0, 2.0], 2, "█▁"),
        ([1.0, 1.0], 5, "▁▁"),
        ([1.0, math.nan, 2.0], 3, "▁!█"),
        ([math.inf], 3, "!"),
        ([1e308, -1e308], 2, "▁▁"),
        ([], 5, ""),
        ([1.0], 0, ""),
    ],
)
def test_a_series_is_a_line(values, width, line):
    assert sparkline(values, width) == line
    ascii_line = sparkline(values, width, blocks=False)
    assert ascii_line.isascii()
    assert len(ascii_line) == len(line)


def test_the_log_is_read_as_far_as_it_is_whole(tmp_path):
    path = tmp_path / "colintern_log.jsonl"
    for step in (10, 20, 30):
        append_row(path, {"loss": 1.0, "note": "x", "epoch": True}, step=step, time=NOW)
    append_row(path, {"train_runtime": 5.0}, step=30, time=NOW)
    with path.open("ab") as file:
        file.write(b'not json\n[1]\n{"loss": 2}\n' + b'{"step": 40, "lo')
    assert [row["step"] for row in read_live_log(path, None)] == [10, 20, 30]
    end_with_a_whole_line(path)
    append_row(path, {"loss": math.nan}, step=20, time=NOW)
    rows = read_live_log(path, None)
    assert [row["step"] for row in rows] == [10, 20]
    assert math.isnan(rows[-1]["loss"])


def test_time_left_follows_the_newest_rows():
    rows = [{"step": float(step), "time": NOW + 2 * step} for step in range(0, 100, 10)]
    pace = pace_of(rows)
    assert pace.seconds_a_step == pytest.approx(2.0)
    assert seconds_left(pace, 90, 100, since_last_row=5) == pytest.approx(15.0)
    assert seconds_left(pace, 90, 100, since_last_row=500) == 0
    assert pace_of([]) is None
    assert pace_of(rows[:1]) is None
    assert pace_of([rows[1], {**rows[2], "time": 0.0}]) is None
    assert is_quiet(pace, 121)
    assert not is_quiet(pace, 119)


def test_a_run_that_trains_is_shown(tmp_path):
    text = shown(write_run(tmp_path / "run", findings=(FINDING,)))
    assert "\ntraining\n" in text
    assert "step 200 of 500" in text
    assert "40%" in text
    assert "5 min left" in text
    assert "loss      3.9 -> 2" in text
    assert "verdicts: 1 error, 0 warnings; 1 rules judged as it trains" in text
    assert "error CFG003 learning-rate-off-target at step 0: learning rate 0.2" in text
    assert "fix: lower it" in text


@pytest.mark.parametrize(
    ("status", "age", "text", "ended"),
    [
        ("training", 0, "training", False),
        ("training", 720, "nothing was written for 12 min: it may have been killed", False),
        ("ended", 720, "ended", True),
        ("stopped", 0, "stopped by the audit", True),
    ],
)
def test_how_a_run_stands_is_told(tmp_path, status, age, text, ended):
    run = read_running_run(write_run(tmp_path / "run", status=status))
    said, is_over = status_of(run, NOW + age)
    assert said.startswith(text)
    assert is_over is ended


def named(folder, process):
    path = folder / "colintern_live.json"
    write_live_record(path, msgspec.structs.replace(read_live_record(path, None), process=process))
    os.utime(path, (NOW, NOW))
    return folder


def test_a_slow_run_whose_process_lives_is_not_taken_for_dead(tmp_path):
    folder = named(write_run(tmp_path / "run"), this_process())
    said, ended = status_of(read_running_run(folder), NOW + 7200)
    assert said == "training: its process runs, but nothing was written for 2 h 0 min"
    assert not ended
    assert status_of(read_running_run(folder), NOW + 5) == ("training", False)


def test_a_killed_run_is_told_at_once(tmp_path):
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with subprocess.Popen(command) as other:
        process = process_of(other.pid)
        folder = named(write_run(tmp_path / "run"), process)
        assert read_running_run(folder).is_alive is True
        other.kill()
    said, ended = status_of(read_running_run(folder), NOW + 11)
    assert (said, ended) == (
        "its process has gone without a word: killed; the same command with --resume goes on",
        False,
    )
    # What ends well writes so before it goes; a look in between is too early to tell.
    assert status_of(read_running_run(folder), NOW + 5)[0] == "training"
    write_manifest(folder, status="completed")
    assert status_of(read_running_run(folder), NOW + 11) == ("completed", True)


@pytest.mark.parametrize("change", [{"place": "another machine"}, None])
def test_a_process_elsewhere_tells_nothing(tmp_path, change):
    process = this_process()
    process = None if change is None else msgspec.structs.replace(process, pid=1, **change)
    folder = named(write_run(tmp_path / "run"), process)
    run = read_running_run(folder)
    assert run.is_alive is None
    assert "it may have been killed" in status_of(run, NOW + 720)[0]


def test_a_number_that_another_process_has_now_is_not_the_run(tmp_path):
    mine = this_process()
    later = msgspec.structs.replace(mine, began=mine.began + 1)
    assert read_running_run(named(write_run(tmp_path / "run"), later)).is_alive is False


def test_a_run_without_a_pace_may_just_be_slow(tmp_path):
    run = read_running_run(write_run(tmp_path / "run", steps=10))
    assert status_of(run, NOW + 720)[0].endswith("killed, unless its steps are that slow")


@pytest.mark.parametrize(
    ("status", "ended"), [("started", False), ("completed", True), ("interrupted", True)]
)
def test_the_manifest_tells_the_end(tmp_path, status, ended):
    folder = write_run(tmp_path / "run", written=time.time())
    write_manifest(folder, status=status)
    assert status_of(read_running_run(folder), time.time())[1] is ended


def test_a_run_that_is_not_there_is_waited_for(tmp_path):
    result = CliRunner().invoke(main, ["watch", str(tmp_path / "later"), "--once"])
    assert (result.exit_code, "there is no such folder yet" in result.output) == (0, True)
    (tmp_path / "later").mkdir()
    assert "nothing was written yet" in shown(tmp_path / "later")


def test_another_trainers_run_is_judged_from_its_checkpoint(tmp_path):
    folder = tmp_path / "checkpoint-600"
    folder.mkdir()
    write_training_log(folder, loss=lambda share, level: math.nan if share > 0.9 else level)
    text = shown(tmp_path)
    assert "no live audit; judged at step 600" in text
    assert "error LOG001 non-finite-loss" in text
    write_training_log(folder)
    assert "verdicts: 0 errors, 0 warnings" in shown(tmp_path)


@pytest.mark.parametrize(("steps", "text"), [(300, "it may have been killed"), (600, "ended")])
def test_the_end_of_another_trainers_run_is_told(tmp_path, steps, text):
    folder = tmp_path / "checkpoint-600"
    folder.mkdir()
    path = write_training_log(folder, steps=steps, max_steps=600, closing=False)
    os.utime(path, (NOW, NOW))
    assert text in shown(tmp_path, now=NOW + 3600)


def test_a_file_is_no_run(tmp_path):
    (tmp_path / "file").touch()
    result = CliRunner().invoke(main, ["watch", str(tmp_path / "file"), "--once"])
    assert (result.exit_code, "it is a file" in result.output) == (2, True)


def test_broken_files_are_told_and_do_no_harm(tmp_path):
    folder = write_run(tmp_path / "run")
    (folder / "colintern_live.json").write_text('{"schema": "colintern.live/9"}')
    (folder / "colintern_resources.jsonl").write_text("{]\n")
    (folder / "trainer_state.json").write_text("[" * 100_000)
    os.mkfifo(folder / "colintern_run.json")
    text = shown(folder)
    assert text.count("cannot be read: ") == 4
    assert "step 200" in text


def test_hostile_texts_reach_no_terminal(tmp_path):
    hostile = "\x1b[31mred\u202e\n" + "x" * 5000
    finding = {"rule": hostile, "name": hostile, "observed": hostile, "fix": hostile}
    record = {**json.loads(json.dumps(finding)), "severity": "error", "step": 1, "last_step": 1}
    record |= {"holds": True, "expected": hostile, "explained_by": [hostile]}
    folder = write_run(tmp_path / "run")
    document = json.loads((folder / "colintern_live.json").read_text()) | {"findings": [record]}
    (folder / "colintern_live.json").write_text(json.dumps(document))
    write_manifest(folder, recipe=hostile)
    lines = shown(folder, style=Style(width=80)).split("\n")
    assert not any("\x1b" in line or "\u202e" in line for line in lines)
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in news(read_running_run(folder), NOW)


def test_a_terminal_without_unicode_gets_ascii(tmp_path):
    folder = write_run(tmp_path / "rün", written=time.time())
    for options in (("--once",), ()):
        write_live_record(
            folder / "colintern_live.json", LiveRecord(status="ended", stop_on="never")
        )
        done = subprocess.run(
            [sys.executable, "-m", "colintern", "watch", str(folder), *options],
            env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
            capture_output=True,
            check=True,
        )
        assert done.stdout.isascii()
        assert b"ended" in done.stdout


def test_a_pipe_gets_a_line_for_each_change(tmp_path):
    folder = tmp_path / "run"
    command = [sys.executable, "-m", "colintern", "watch", str(folder), "--interval", "0.2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert "no such folder yet" in process.stdout.readline()
        # Moved into place whole: a look at half of it would be a line of its own.
        write_run(tmp_path / "aside", steps=100, written=time.time()).rename(folder)
        assert "step 100 of 500" in process.stdout.readline()
        write_run(folder, steps=200, written=time.time(), findings=(FINDING,), status="ended")
        rest = process.stdout.read()
    assert process.returncode == 0
    assert rest.count("CFG003") == 1
    assert "ended, step 200 of 500, loss 2" in rest


def test_a_terminal_is_redrawn_and_left_with_ctrl_c(tmp_path):
    folder = write_run(tmp_path / "run", written=time.time())
    control, terminal = pty.openpty()
    # A job in the background of a shell inherits that Ctrl-C is ignored.
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from colintern.cli import main; main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "watch", str(folder), "--interval", "0.2"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "90", "PYTHONIOENCODING": "utf-8"}
    process = subprocess.Popen(command, stdout=terminal, env=environment)
    os.close(terminal)
    output = b""
    while output.count(b"\x1b[H") < 3:
        output += os.read(control, 4096)
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(OSError):  # how a terminal tells that nobody writes to it any more
        until = time.monotonic() + 120
        while time.monotonic() < until and (more := os.read(control, 4096)):
            output += more
    assert process.wait(120) == 130
    assert b"step 200 of 500" in output
    os.close(control)


def test_the_help_has_examples_and_needs_no_readers():
    result = CliRunner().invoke(main, ["watch", "--help"])
    assert result.output.count("colintern watch runs/") == 3
    code = "import sys, colintern.commands.watch; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'numpy'" not in done.stdout
