import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from builders.hostile_run import MARKS, audit_hostile
from support.auditing import audit
from support.html_reports import (
    HOSTILE,
    Tab,
    hostile_report,
    large_report,
    made_report,
    result,
    written_page,
)
from support.own_checks import HEAD, check

from colintern.engine.outcome import Outcome
from colintern.engine.reports.html.page import report_block


def data_of(path):
    text = path.read_text("utf-8")
    block = re.search(
        r'<script type="application/json" id="audit-data">(.*?)</script>', text, re.DOTALL
    )
    return json.loads(block[1])


def click_all(tab, selector):
    tab.page.locator(selector).evaluate_all("all => all.forEach((each) => each.click())")


@pytest.fixture(scope="module")
def demo_page(tmp_path_factory):
    return audited(tmp_path_factory.mktemp("demo"), "demo:guide-as-written")


def audited(folder, subject, *options):
    path = folder / "report.html"
    command = (sys.executable, "-m", "colintern", "audit", subject, "--html", str(path))
    done = subprocess.run(
        [*command, *options], cwd=folder, capture_output=True, text=True, check=False
    )
    assert path.exists(), done.stdout + done.stderr
    return path


def test_report_says_what_json_says(pytester):
    path = pytester.path / "report.html"
    arguments = ("--checkpoint", "demo:poor-settings", "--checkpoint", "demo")
    document = audit(pytester, *arguments, f"--html={path}").document
    data = data_of(path)
    shown = {
        (data["subjects"][row[1]], data["rules"][row[0]]["id"]): (
            data["outcomes"][row[2]][0],
            data["severities"][row[3]],
            data["strings"][row[4]],
            data["strings"][row[5]],
            data["strings"][row[6]],
            data["strings"][row[10]],
        )
        for row in data["rows"]
    }
    usual = {rule["id"]: rule["fix"] for rule in data["rules"]}
    fields = ("outcome", "severity", "observed", "expected", "where")
    assert shown == {
        (check["subject"], check["rule"]): (
            *(check[field] for field in fields),
            remedy_of(check, usual[check["rule"]]),
        )
        for check in document["checks"]
    }


def remedy_of(check, usual):
    """What is said of this very case: a fix of its own, or how to get what is missing."""
    if check["missing"]:
        return check["missing"]["hint"]
    return "" if check["fix"] == usual else check["fix"]


def test_only_one_file_is_written(demo_page):
    assert [path.name for path in demo_page.parent.glob("*")] == ["report.html"]
    text = demo_page.read_text("utf-8")
    assert 'id="environment"' not in text
    assert text.count("<script") == 2
    assert ">broken</text>" in text


def test_xdist_draws_the_figures(tmp_path):
    pytest.importorskip("xdist")
    path = audited(tmp_path, "demo", "-n", "1", "--select", "LOG,RES")
    assert path.read_text("utf-8").count("<figure") == 5


def test_malformed_evidence_leaves_figures_out(pytester, healthy_run):
    (healthy_run / "trainer_state.json").write_text('{"log_history": 3}')
    path = pytester.path / "report.html"
    found = audit(pytester, "--checkpoint", healthy_run, f"--html={path}")
    text = path.read_text("utf-8")
    assert found.outcomes["SEC003"] == "failed"
    assert "No figure <b>Loss</b>: its evidence is malformed" in text
    assert text.count("<figure") == 2


def test_a_folder_is_refused(pytester):
    found = audit(pytester, "--checkpoint", "demo", f"--html={pytester.path}")
    assert found.exit_code == pytest.ExitCode.USAGE_ERROR
    assert "is a folder; name a file" in found.output


def test_no_backtick_is_unbalanced():
    report = made_report(["run"], [result(1, "run", Outcome.FAILED, observed="a ` b")])
    block = report_block(report, [], written=datetime(2026, 1, 1, tzinfo=UTC))
    assert "<dd>a ` b</dd>" in block


def test_page_opens_without_complaint(tab, demo_page):
    tab.open(demo_page)
    assert tab.trouble == []
    assert tab.rows == len(data_of(demo_page)["rows"])
    assert tab.page.title() == "Fail: demo:guide-as-written (ColIntern audit)"


def test_newcomer_reads_what_to_do(tab, demo_page):
    text = tab.open(demo_page).page.locator("section[aria-labelledby=causes]").inner_text()
    for needed in ("ADP003", "7 of 8 entries match nothing", "one regular expression", "RES001"):
        assert needed in text
    seen = tab.page.locator("header").inner_text()
    assert "Fail" in seen
    assert "5 findings come down to 1 root cause" in seen


def test_mouse_filters_and_opens(tab, demo_page):
    tab.open(demo_page)
    tab.page.get_by_role("button", name=re.compile("^passed ")).click()
    assert tab.page.locator("tr.row", has_text="passed").count() == 0
    tab.page.get_by_label("Family").select_option("ADP")
    tab.page.get_by_label("Text").fill("merge-wrong")
    tab.wait_for_rows(1)
    tab.page.locator("tr.row").click()
    assert "ADP020" in tab.page.locator("tr.detail").inner_text()
    tab.page.get_by_role("button", name="Show all").click()
    assert tab.rows == len(data_of(demo_page)["rows"])


def test_keyboard_filters_and_opens(tab, demo_page):
    tab.open(demo_page)
    tab.page.get_by_role("button", name=re.compile("^no evidence ")).focus()
    tab.page.keyboard.press("Space")
    assert tab.page.locator("tr.row", has_text="no evidence").count() == 0
    tab.page.locator("tr.row .toggle").first.focus()
    tab.page.keyboard.press("Enter")
    opened = tab.page.locator("tr.row .toggle").first
    assert opened.get_attribute("aria-expanded") == "true"
    assert tab.page.locator("tr.detail dt").all_inner_texts()[-1] == "Page"
    tab.page.keyboard.press("Enter")
    assert tab.page.locator("tr.detail").count() == 0


def test_links_open_what_they_name(tab, demo_page):
    tab.open(demo_page)
    tab.page.get_by_label("Text").fill("nothing matches this")
    tab.page.locator("#none").wait_for(state="visible")
    tab.page.get_by_role("link", name="RES001").first.click()
    symptom = tab.page.locator("#check-0-RES001 + tr.detail")
    assert "ADP003" in symptom.locator("dt:text('Explained by') + dd").inner_text()
    tab.page.get_by_role("link", name="ADP003").first.click()
    page = tab.page.locator("#rule-ADP003")
    page.locator("dl").wait_for()
    assert "PEFT matches a list entry" in page.inner_text()
    assert page.locator("dt").all_inner_texts()[-3:] == ["Requires", "Explains", "Explained by"]
    page.get_by_role("link", name="RES001").click()
    symptom = tab.page.locator("#rule-RES001 dd").last
    assert "ADP003" in symptom.inner_text()
    assert tab.trouble == []


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_axe_finds_nothing_serious(browser, demo_page, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = Tab(context.new_page()).open(demo_page).page
    page.locator("tr.row .toggle").first.click()
    found = axe.run(page).response["violations"]
    grave = [each for each in found if each["impact"] in {"serious", "critical"}]
    assert [(each["id"], each["nodes"][0]["html"]) for each in grave] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def test_axe_finds_a_planted_fault(tab, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    path = tmp_path / "page.html"
    path.write_text("<html><body><img src='data:,'><input></body></html>")
    found = axe.run(tab.open(path).page).response["violations"]
    assert {"image-alt", "html-has-lang"} <= {each["id"] for each in found}


def test_nothing_hostile_runs(tab, tmp_path):
    path = written_page(tmp_path / "hostile.html", hostile_report())
    tab.open(path)
    click_all(tab, "tr.row .toggle, #pages summary")
    assert tab.trouble == []
    assert tab.page.title().startswith("Fail: ")
    assert tab.page.locator("script").count() == 2
    assert tab.page.locator("img, iframe, [onload], [onerror], a:not([href^='#'])").count() == 0
    body = tab.page.locator("body").inner_text()
    assert all(text.replace("`", "") in body.replace("`", "") for text in HOSTILE)


def test_hostile_run_shows_as_text(tab, tmp_path, healthy_template):
    audit_hostile(tmp_path, healthy_template, "--html=report.html")
    path = tmp_path / "report.html"
    tab.open(path)
    click_all(tab, "tr.row .toggle, #pages summary")
    assert tab.trouble == []
    assert tab.page.locator("script").count() == 2
    assert tab.page.locator("img, iframe, [onerror], a:not([href^='#'])").count() == 0
    body = tab.page.locator("body").inner_text()
    for mark in MARKS:
        assert f"{mark}mark <img src=x onerror=alert(1)>" in body, mark
    assert not set("\u202e\x1b\x07\u2028") & set(path.read_text("utf-8"))


def test_interrupted_audit_says_no_verdict(tab, pytester):
    (pytester.path / "check_own.py").write_text(HEAD + check(1, "raise KeyboardInterrupt"))
    path = pytester.path / "report.html"
    path.write_text("the report of yesterday")
    done = pytester.runpytest_subprocess(
        "check_own.py", f"--checkpoint={pytester.path}", f"--html={path}"
    )
    assert done.ret == pytest.ExitCode.INTERRUPTED
    tab.open(path)
    assert tab.page.locator("h1").inner_text() == "No verdict"
    assert tab.page.locator("table, #filters").count() == 0
    assert tab.trouble == []


@pytest.fixture(scope="module")
def wide_page(tmp_path_factory):
    names = [f"runs/candidate-{letter}" for letter in "abcdefgh"]
    results = [result(1, name, Outcome.FAILED) for name in names]
    return written_page(tmp_path_factory.mktemp("wide") / "page.html", made_report(names, results))


@pytest.mark.parametrize(("width", "table"), [(1280, ".subjects"), (390, ".matrix")])
def test_wide_tables_stay_readable(tab, wide_page, width, table):
    tab.page.set_viewport_size({"width": width, "height": 800})
    tab.open(wide_page)
    first = tab.page.locator(f"{table} tbody th").first
    before = first.bounding_box()
    scrolled = tab.page.locator(".scroll", has=tab.page.locator(table)).evaluate(
        "box => { box.scrollLeft = 1e4; return box.scrollLeft }"
    )
    # On a desk all eight outcomes fit; on a phone the box scrolls and the first column stays.
    assert (scrolled == 0) == (width == 1280)
    assert first.bounding_box() == before
    assert before["width"] < width / 2
    assert tab.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_policy_stops_scripts(tab, tmp_path):
    path = written_page(tmp_path / "page.html", large_report(8, 1))
    text = path.read_text("utf-8").replace(
        "</main>", "<script>document.title='ran'</script></main>"
    )
    path.write_text(text, "utf-8")
    tab.open(path)
    assert tab.page.title() != "ran"
    assert any("Content Security Policy" in line for line in tab.trouble)


def test_large_report_opens_fast(tab, tmp_path):
    path = written_page(tmp_path / "large.html", large_report())
    assert path.stat().st_size < 10_000_000
    start = time.perf_counter()
    cpu_seconds = tab.cpu_seconds(lambda: tab.open(path).wait_for_rows(150))
    # Others may use the machine too: what counts is the time on a core, half of it for the page.
    assert time.perf_counter() - start < 2 or cpu_seconds < 1
    tab.page.get_by_label("Text").fill("figure 999 of run-3")
    tab.wait_for_rows(1)
    assert tab.trouble == []


def test_print_opens_the_findings(tab, demo_page):
    tab.open(demo_page)
    tab.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert tab.page.locator("tr.detail").count() == 5
    assert tab.page.locator("details.print-open:not([open])").count() == 0
    tab.page.emulate_media(media="print")
    assert not tab.page.locator("#filters").is_visible()
    assert tab.page.pdf()[:5] == b"%PDF-"
    tab.page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.page.locator("tr.detail").count() == 0
