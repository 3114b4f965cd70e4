import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from builders.results import whole, write_tasks
from builders.training_log import write_training_log
from click.testing import CliRunner
from msgspec.structs import replace
from support.auditing import audit
from support.html_reports import HOSTILE, Tab

from colintern.artifacts.logs.trainer_state import read_trainer_state
from colintern.cli import main
from colintern.diagnostics.log.epoch_losses import epoch_losses, healthy_losses
from colintern.diagnostics.results.benchmarks import VIDORE_V1
from colintern.engine.direct_audit import audit_directly
from colintern.engine.request import AuditRequest, audit_setup
from colintern.engine.subjects import find_subjects
from colintern.guide import GUIDE
from colintern.report.document import Cell, Document, Section, Table
from colintern.report.document_formats import document_html, document_markdown
from colintern.report.overlay import overlay
from colintern.report.report_files import output_files
from colintern.report.training_report import training_report

DEMOS = ("demo:healthy", "demo:guide-as-written", "demo:poor-settings")
WRITTEN = datetime(2026, 1, 1, tzinfo=UTC)

DEMO = Path(__file__).parents[2] / "colintern" / "assets" / "demo"


def document(*runs, here=Path("/"), settings=None):
    setup = audit_setup(AuditRequest(here=here, checkpoints=[str(run) for run in runs]))
    if settings is not None:
        options = replace(setup.options, guide=settings.guide)
        setup = replace(setup, settings=settings, options=options)
    return training_report(audit_directly(setup), None, WRITTEN)


def markdown(*runs):
    return document_markdown(document(*runs))


def section(text, title):
    return re.split(rf"^## {re.escape(title)}.*$", text, flags=re.MULTILINE)[1].split("\n## ")[0]


def report(*arguments):
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def together():
    return document(*DEMOS)


# The files


def test_two_files_and_five_lines(here):
    done = report("--model-path", "demo:guide-as-written")
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in here.iterdir())
    assert names == [f"demo-guide-as-written_report.{end}" for end in ("html", "md")]
    told = re.findall(r"^  (\w+)", done.output, re.MULTILINE)
    assert told == ["Verdict", "Training", "Loss", "Results", "Next"]
    assert "ADP003" in done.output
    assert str(here / names[0]) in done.output


def test_nothing_heavy_is_imported(tmp_path):
    code = (
        "import sys; from colintern.cli import main; "
        "main(['report', 'demo'], standalone_mode=False); "
        "print('MODULES', sorted({name.partition('.')[0] for name in sys.modules}))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    seen = done.stdout.partition("MODULES")[2]
    assert "'numpy'" in seen
    heavy = ("torch", "transformers", "peft", "mteb", "optuna", "datasets", "pandas", "matplotlib")
    assert not [name for name in (*heavy, "pytest") if f"'{name}'" in seen]


@pytest.mark.parametrize(
    ("output", "page"),
    [
        (None, "runs-a_report.html"),
        ("out.html", "out.html"),
        ("out.md", "out.html"),
        ("out", "out.html"),
        ("folder", "folder/runs-a_report.html"),
        ("folder/x.HTML", "folder/x.html"),
    ],
)
def test_output_names_both_files(here, output, page):
    (here / "folder").mkdir()
    pages = output_files(Path(output) if output else None, ["runs/a"], here)
    assert [path.relative_to(here).as_posix() for path in pages] == [page, f"{page[:-4]}md"]


@pytest.mark.parametrize(
    ("names", "stem"),
    [
        (["../../etc/passwd"], "etc-passwd_report"),
        (["<img src=x>"], "img-src-x_report"),
        (["\u202e"], "run_report"),
        (["a" * 300], "a" * 100 + "_report"),
        (["a", "b", "c"], "a_and_2_more_report"),
    ],
)
def test_run_names_make_safe_files(tmp_path, names, stem):
    assert output_files(None, names, tmp_path)[0] == tmp_path / f"{stem}.html"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a run"),
        (("nowhere",), "no folder"),
        (("demo:none",), "there is demo:"),
        (("file.txt",), "is a file"),
        (("demo", "-o", "no/where.html"), "no folder"),
        (("demo", "-o", "report.pdf"), "ends in .html or .md"),
        (("demo", "-o", "taken.md"), "is a folder"),
        (("demo", "--results", "nowhere"), "no such folder"),
        (("demo", "--base", "nowhere"), "no such folder"),
        (("demo", "--family", "colqwen22"), "did you mean ColQwen2"),
        (("demo", "--guide", "nowhere.toml"), "cannot be read"),
        (tuple(f"run-{index}" for index in range(7)), "6 at most"),
    ],
)
def test_mistakes_are_told_once(here, arguments, said):
    (here / "file.txt").write_text("x")
    (here / "taken.html").mkdir()
    for index in range(7):
        (here / f"run-{index}").mkdir()
    done = report(*arguments)
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert done.output.count("Error: ") == 1
    assert not list(here.glob("*_report.*"))


# What it says


@pytest.mark.parametrize("name", DEMOS)
def test_report_agrees_with_the_audit(pytester, name):
    judged = audit(pytester, "--checkpoint", name)
    text = markdown(name)
    assert f": {judged.document['verdict']}" in text
    steps = re.findall(r"^\d+\. [✗⚠] \*\*(\w+)", section(text, "What to try next"), re.MULTILINE)
    assert steps == judged.roots
    found = section(text, "The audit")
    told = set(re.findall(r"^\| [✗⚠i] (\w+)", found, re.MULTILINE))
    assert told == set(judged.of_outcome("failed", "warned", "noted", "error"))
    for outcome in ("failed", "warned", "passed"):
        number = len(judged.of_outcome(outcome))
        assert number == 0 or f"{number} {outcome}" in found


def test_figures_are_those_of_the_files():
    text = markdown("demo")
    folder = find_subjects(["demo"], Path("/"))[0].path
    result = json.loads((folder / "results" / "ColInternPagesRetrieval.json").read_text())
    (scores,) = result["scores"]["test"]
    row = re.search(
        r"^\| ColInternPagesRetrieval \| (.*) \|$",
        section(text, "Results").split("primary")[1],
        re.MULTILINE,
    )
    shown = [float(value.replace("\\", "")) for value in row[1].split(" | ")]
    metrics = ("ndcg_at_5", "ndcg_at_10", "recall_at_100")
    assert shown == [pytest.approx(scores[metric], abs=5e-4) for metric in metrics]
    manifest = json.loads((folder / "colintern_run.json").read_text())
    recipe = section(text, "The recipe beside the guide").replace("\\", "")
    for setting, key in (("Epochs", "num_train_epochs"), ("Learning rate", "learning_rate")):
        assert f"| {setting} | ✓ {manifest['arguments'][key]:g}" in recipe
    assert f"| Effective batch | ✓ {manifest['effective_batch_size']} | at least 64 |" in recipe


def test_epochs_stand_beside_the_guide():
    folder = find_subjects(["demo"], Path("/"))[0].path
    log = read_trainer_state(folder / "trainer_state.json", None)
    table = section(markdown("demo"), "Training").split("Loss after each epoch")[1]
    rows = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    healthy = healthy_losses(GUIDE, 64)
    for cells, expected in zip(rows[1:], epoch_losses(log, most=12), strict=True):
        assert cells[2] == f"{expected.training:.3f}"
        assert cells[3] == f"{expected.training / np.log(64):.0%}"
        assert cells[4] == f"{healthy[int(expected.epoch)]:.3f}"


def test_runs_of_other_batches_share_chance(together):
    text = document_markdown(together)
    training = section(text, "Training")
    assert "**Loss as a share of chance**" in training
    assert all(f"{letter} ends at" in training for letter in "ABC")
    assert "A 64, B 64, C 2" in training
    assert "A: demo" in section(text, "The recipe beside the guide")


def test_runs_of_one_batch_share_nats():
    text = section(markdown(*DEMOS[:2]), "Training")
    assert "**Loss**: A ends at" in text
    assert "share of chance" not in text


def test_the_corridor_is_that_of_the_batch():
    text = section(markdown("demo"), "Training")
    assert "healthy run, scaled by chance, would be at 1.12." in text


@pytest.mark.parametrize(
    ("runs", "title", "scale"),
    [
        (DEMOS, "Loss as a share of chance", np.log(16)),
        (DEMOS[:2], "Loss", np.log(16) / np.log(64)),
    ],
)
def test_overlaid_losses_share_one_scale(monkeypatch, runs, title, scale):
    drawn = {}

    def recorded(name, unit, series, **more):
        drawn[name] = (series, {each.name: each.ys for each in more["levels"]})
        return overlay(name, unit, series, **more)

    monkeypatch.setattr("colintern.report.training_overlay.overlay", recorded)
    document(*runs)
    series, levels = drawn[title]
    assert levels["guide: healthy"] == pytest.approx(np.array(GUIDE.healthy_loss_corridor) / scale)
    (chance,) = next(ys for name, ys in levels.items() if name.startswith("chance"))
    # Of the three runs the second and the third stay near chance.
    assert [series[number].ys[-1] / chance for number in range(1, len(runs))] == [
        pytest.approx(share, abs=0.02) for share in (0.93, 1.0)[: len(runs) - 1]
    ]


@pytest.mark.parametrize("text", ["a\\\\|<b>", "\\\\|", "x\\|<img>"])
def test_code_with_a_pipe_keeps_its_cell(text):
    table = Table("", ("Name", "Value"), ((Cell("n"), Cell(f"`{text}` and `<i>`")),))
    section_of = Section("id", "Title", (table,))
    made = document_markdown(Document("t", "b", "s", (), (section_of,)))
    row = next(line for line in made.splitlines() if "| n |" in line)
    inside = re.sub(r"\\.", "", row)
    assert inside.count("|") == 3
    assert "<" not in re.sub(r"`[^`|]*`", "", inside)


def test_unknown_loss_has_no_chance(healthy_run, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(healthy_run / "trainer_state.json", other)
    text = section(markdown(healthy_run, other), "Training")
    assert "What the loss of B is compared with is not known" in text


def test_one_run_shows_steps_and_epochs():
    page = document_html(document("demo"))
    loss = page[page.index('aria-label="Training loss over the run"') :].split("</svg>")[0]
    assert ">epoch</text>" in loss
    assert ">step</text>" in loss
    assert ">guide: a healthy run</text>" in loss
    assert ">chance ln(64)</text>" in loss


@pytest.mark.parametrize(
    ("kept", "section_title", "said"),
    [
        ("adapter_config.json", "Training", "trainer_state.json"),
        ("adapter_config.json", "Results", "task results"),
        ("adapter_config.json", "Resources", "colintern_resources.jsonl"),
        ("trainer_state.json", "What LoRA reached and changed", "adapter_config.json"),
        ("colintern_resources.jsonl", "The recipe beside the guide", "training_args.bin"),
    ],
)
def test_missing_parts_name_their_file(healthy_run, tmp_path, kept, section_title, said):
    run = tmp_path / "sparse"
    run.mkdir()
    shutil.copy(healthy_run / kept, run)
    text = section(markdown(run), section_title).replace("\\", "")
    assert said in text
    assert re.search(rf"needs [^.]*{re.escape(said)}", text)


def test_whole_run_misses_nothing(healthy_run):
    text = markdown(healthy_run)
    for title in ("Training", "Results", "What LoRA reached and changed", "Resources"):
        assert ": needs " not in section(text, title)


def test_malformed_log_is_said_so(healthy_run):
    (healthy_run / "trainer_state.json").write_text('{"log_history": 3}')
    text = markdown(healthy_run)
    assert "its evidence is malformed" in section(text, "Training")
    assert "not readable" in section(text, "The recipe beside the guide")
    assert "SEC003" in section(text, "What to try next")


def test_empty_folder_is_inconclusive(tmp_path):
    text = markdown(tmp_path)
    assert ": inconclusive" in text
    assert "Nothing about the model could be judged" in text
    assert not re.search(r"\bnan\b|\bNone\b", text)


def test_targets_and_published_are_shown(healthy_run):
    shutil.rmtree(healthy_run / "results")
    write_tasks(healthy_run / "results", {"VidoreDocVQARetrieval": 0.5})
    text = section(markdown(healthy_run), "Results").replace("\\", "")
    row = next(line for line in text.splitlines() if line.startswith("| VidoreDocVQARetrieval"))
    assert "0.500 (under the target) | 0.65 to 0.80 |" in row
    assert "late-interaction models" in text
    assert "colSmol-500M" in text
    assert "ViDoRe(v1): 1 of 10 tasks" in text
    assert "mean of ViDoRe" not in text


def test_own_thresholds_are_said_so(here):
    (here / "strict.toml").write_text("min_epochs = 9\n")
    done = report("demo", "--guide", "strict.toml", "-o", "out.md")
    assert "CFG001 too-few-epochs" in done.output
    text = (here / "out.md").read_text("utf-8")
    assert "The recipe beside the guide (with your own thresholds)" in text
    assert "CFG001: at least 9 epochs" in section(text, "The recipe beside the guide")


# What to try next


def test_poor_settings_get_the_guides_numbers():
    text = section(markdown("demo:poor-settings"), "What to try next")
    for line in ("num_train_epochs=5", "per_device_train_batch_size=16", 'eval_strategy="steps"'):
        assert re.search(rf"^ {{3}}{re.escape(line)}$", text, re.MULTILINE)
    assert text.index("CFG002") < text.index("CFG008") < text.index("Train again")
    assert "colintern train --recipe tiny" in text


@pytest.mark.parametrize("family", ["guide", "tiny"])
def test_only_the_guides_model_gets_its_rate(healthy_run, tmp_path, family):
    run = healthy_run
    if family == "tiny":
        run = shutil.copytree(DEMO / "healthy", tmp_path / "tiny")
    path = run / "trainer_state.json"
    state = json.loads(path.read_text())
    for row in state["log_history"][len(state["log_history"]) // 2 :]:
        row.update({name: 9.0 for name in ("loss", "eval_loss") if name in row})
    path.write_text(json.dumps(state))
    text = section(markdown(run), "What to try next")
    assert "LOG006" in text
    assert ("warmup_steps=200" in text) is (family == "guide")
    assert ("learning_rate=2e-5" in text) is (family == "guide")


def test_root_causes_beyond_the_most_are_named(monkeypatch):
    monkeypatch.setattr("colintern.report.next_steps.MOST_ROOTS", 1)
    text = section(markdown("demo:poor-settings"), "What to try next")
    assert text.count("- Because: ") == 1
    assert re.search(r"^2\. \*\*2 more root causes\*\*\n +CFG001, CFG008$", text, re.MULTILINE)


def test_healthy_run_has_nothing_to_mend():
    text = section(markdown("demo"), "What to try next")
    assert "Nothing to mend" in text
    assert "Train again" not in text
    assert "pytest checks/ --checkpoint demo:healthy" in text


def test_unexplained_score_goes_through_the_list(healthy_run):
    shutil.rmtree(healthy_run / "results")
    scores = {task.name: whole(task.name, 0.2) for task in VIDORE_V1.tasks}
    write_tasks(healthy_run / "results", scores)
    text = section(markdown(healthy_run), "What to try next").replace("\\", "")
    assert "RES001" in text
    done = next(line for line in text.splitlines() if "Done already" in line)
    assert "Planned epochs: 5 (CFG001)" in done
    assert "num_train_epochs=5" not in text


# Losses by epoch


def test_epoch_losses_follow_the_log(tmp_path):
    rows = [{"step": step, "epoch": step / 10, "loss": 3.0 - step / 10} for step in range(1, 21)]
    rows += [{"step": 10, "epoch": 1.0, "eval_loss": 1.9}]
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"log_history": rows}))
    start, first, second = epoch_losses(read_trainer_state(path, None), most=9)
    assert (start.epoch, first.epoch, second.epoch) == (0, 1, 2)
    assert start.training == pytest.approx(2.9)
    assert first.training == pytest.approx((2.0 + 2.1) / 2)
    assert (first.step, first.evaluation, second.evaluation) == (10, 1.9, None)


@pytest.mark.parametrize(
    ("last", "ends"),
    [(5.0, [0, 1, 2, 3, 4, 5]), (4.948, [0, 1, 2, 3, 4, 5]), (0.5, [0, 0.5]), (1.5, [0, 1, 1.5])],
)
def test_dropped_remainder_is_a_whole_epoch(tmp_path, last, ends):
    rows = [{"epoch": float(epoch), "loss": 1.0} for epoch in np.linspace(0.01, last, 200)]
    path = tmp_path / "trainer_state.json"
    path.write_text(json.dumps({"log_history": rows}))
    found = epoch_losses(read_trainer_state(path, None), most=20)
    assert [each.epoch for each in found] == pytest.approx(ends)
    assert all(each.training == 1.0 for each in found)


def test_guides_course_is_scaled_by_chance():
    assert healthy_losses(GUIDE, 16) == pytest.approx([2.40, 1.50, 1.20, 1.00, 0.85, 0.75])
    assert healthy_losses(GUIDE, 256) == pytest.approx([4.80, 3.00, 2.40, 2.00, 1.70, 1.50])


def test_many_epochs_are_thinned(healthy_run):
    write_training_log(healthy_run)
    log = read_trainer_state(healthy_run / "trainer_state.json", None)
    whole = epoch_losses(log, most=100)
    few = epoch_losses(log, most=3)
    assert len(few) == 3
    assert (few[0], few[-1]) == (whole[0], whole[-1])


# In a browser


@pytest.fixture(scope="module")
def page_file(together, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_text(document_html(together), "utf-8")
    return path


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_axe_finds_nothing_serious(browser, page_file, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    tab = Tab(context.new_page()).open(page_file)
    found = axe.run(tab.page).response["violations"]
    grave = [each for each in found if each["impact"] in {"serious", "critical"}]
    assert [(each["id"], each["nodes"][0]["html"]) for each in grave] == []
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert tab.trouble == []
    context.close()


def test_page_prints_within_its_width(browser, page_file):
    context = browser.new_context(viewport={"width": 690, "height": 1000})
    page = Tab(context.new_page()).open(page_file).page
    page.emulate_media(media="print")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.pdf()[:5] == b"%PDF-"
    context.close()


def test_nothing_hostile_runs(browser, healthy_run, tmp_path):
    hostile = healthy_run.with_name(
        "<img src=x onerror=alert(1)>\u202e\x1b[31m|`#*[x](javascript:alert(1))"
    )
    shutil.move(healthy_run, hostile)
    for name, change in {
        "adapter_config.json": {
            "base_model_name_or_path": HOSTILE[0],
            "target_modules": list(HOSTILE),
        },
        "colintern_run.json": {
            "recipe": HOSTILE[1],
            "datasets": [{"name": text, "rows": 1} for text in HOSTILE[:3]],
            "versions": {"torch": HOSTILE[4]},
            "hardware": {"gpu": HOSTILE[2], "attention": HOSTILE[5], "device": "cuda"},
        },
    }.items():
        path = hostile / name
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    shutil.rmtree(hostile / "results")
    write_tasks(hostile / "results", {text.replace("/", "_"): 0.5 for text in HOSTILE[:4]})
    made = document(hostile, "demo")
    path = tmp_path / "hostile.html"
    path.write_text(document_html(made), "utf-8")
    context = browser.new_context()
    tab = Tab(context.new_page()).open(path)
    assert tab.trouble == []
    assert tab.page.title().startswith("Training report: ")
    planted = "script, img, iframe, [onload], [onerror], a:not([href^='#'])"
    assert tab.page.locator(planted).count() == 0
    assert HOSTILE[1] in tab.page.locator("main").inner_text()
    text = document_markdown(made)
    assert not {"\u202e", "\x1b"} & set(path.read_text("utf-8") + text)
    assert not re.search(
        r"<(?:img|script|svg)|(?<!\\)\]\(javascript|(?<!\\)\[x",
        re.sub(r"~~~.*?~~~|`[^`\n]*`", "", text, flags=re.DOTALL),
    )
    context.close()


def test_the_policy_forbids_every_script(browser, page_file, tmp_path):
    path = tmp_path / "planted.html"
    text = page_file.read_text("utf-8")
    path.write_text(
        text.replace("</main>", "<script>document.title='ran'</script></main>"), "utf-8"
    )
    context = browser.new_context()
    tab = Tab(context.new_page()).open(path)
    assert tab.page.title() != "ran"
    assert any("Content Security Policy" in line for line in tab.trouble)
    context.close()
