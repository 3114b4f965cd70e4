import re
from html.parser import HTMLParser

import pytest
from builders.results import task_result, write_json, write_tasks
from click.testing import CliRunner
from support.compared_models import ARXIV, TABFQUAD, model_of_ranks
from support.html_reports import HOSTILE, Tab

from colintern.cli import main
from colintern.report.compared_runs import compared_runs
from colintern.report.comparison_page import comparison_page

HARD = "Vidore2BioMedicalLecturesRetrieval"


def written(path, *folders):
    done = CliRunner().invoke(main, ["compare", *map(str, folders), "--html", str(path)])
    assert path.exists(), done.output
    return path


def write_ranks(folder, task, ranks):
    model_of_ranks(folder / "queries", ranks, task=task)
    for path in (folder / "queries").iterdir():
        path.rename(folder / path.name)
    (folder / "queries").rmdir()


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """A better and a worse task, one alike and one that may not be compared."""
    root = tmp_path_factory.mktemp("compared")
    plans = {"before": ([1, 2, 6, 1] * 25, "e"), "after": ([2, 2, 6, 3] * 25, "f")}
    for name, (ranks, revision) in plans.items():
        write_tasks(root / name, {HARD: 0.8}, dataset_revision=revision * 40)
        write_ranks(root / name, ARXIV, ranks)
        write_ranks(root / name, TABFQUAD, [1, 6] * 40)
    return written(root / "page.html", root / "before", root / "after")


class Text(HTMLParser):
    """What a reader sees of a page, one line a table row."""

    def __init__(self, page):
        super().__init__()
        self.rows, self.cell = [[]], []
        self.feed(page)

    def handle_starttag(self, tag, _):
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"}:
            self.cell = []

    def handle_endtag(self, tag):
        if tag in {"td", "th"}:
            self.rows[-1].append(" ".join("".join(self.cell).split()))

    def handle_data(self, data):
        self.cell.append(data)


def rows_of(path):
    return Text(path.read_text("utf-8")).rows


def test_page_says_what_differs(pages):
    text = pages.read_text("utf-8")
    assert "after is worse on 1 of 2 tasks; the mean: worse" in text
    rows = {row[0]: row for row in reversed(rows_of(pages)) if row}
    assert rows[ARXIV][-4:] == ["worse", "0", "50", "queries"]
    assert rows[TABFQUAD][-4:] == ["no difference", "0", "0", "queries"]
    assert "mean of 2 tasks" in rows
    assert "Not compared" in text
    assert "dataset revision" in text
    assert text.count("<figure>") == 1


def test_page_lists_the_clearest_queries(pages):
    lost = [row for row in rows_of(pages) if row and re.fullmatch(r"q\d+", row[0])]
    assert len(lost) == 20
    assert all(row[1] == "default" and row[-1] == "worse" for row in lost)
    assert "and 30 more that differ" in pages.read_text("utf-8")


def test_page_has_the_primary_metrics(pages):
    text = pages.read_text("utf-8")
    for metric in ("NDCG@5", "NDCG@10", "Recall@100"):
        assert f">{metric}</h3>" in text
    means = [row for row in rows_of(pages) if row[:1] == ["mean of 2 common tasks"]]
    assert len(means) == 3


def test_page_shows_other_settings(tmp_path):
    page = comparison_page(compared_runs(["demo:healthy", "demo:guide-as-written"]))
    path = tmp_path / "page.html"
    path.write_text(page, "utf-8")
    rows = {row[0]: row[1:] for row in rows_of(path) if row}
    assert rows["recipe"] == ["tiny", "guide_as_written"]
    assert rows["LoRA modules_to_save"] == ["custom_text_proj", "none"]


def test_run_beside_itself_says_so(pages, tmp_path):
    before = pages.parent / "before"
    text = written(tmp_path / "page.html", before, before).read_text("utf-8")
    assert "No difference beyond chance between" in text
    assert "Queries<span" not in text


def test_page_opens_without_complaint(tab, pages):
    tab.open(pages)
    assert tab.trouble == []
    assert tab.page.title() == "after against before (ColIntern comparison)"
    assert tab.page.locator("script").count() == 0
    tab.page.locator("summary").first.click()
    assert not tab.page.locator("details table").first.is_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 390), ("dark", 1280)])
def test_axe_finds_nothing_serious(browser, pages, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = Tab(context.new_page()).open(pages).page
    found = axe.run(page).response["violations"]
    grave = [each for each in found if each["impact"] in {"serious", "critical"}]
    assert [(each["id"], each["nodes"][0]["html"]) for each in grave] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    context.close()


def test_nothing_hostile_runs(tab, tmp_path):
    names = "<img src=x onerror=alert(1)>\u202e", "</style><script>alert(1)<!--"
    for name, score in zip(names, (0.8, 0.5), strict=True):
        folder = tmp_path / name.replace("/", "\u2215")
        folder.mkdir()
        for number, task in enumerate(HOSTILE):
            write_json(folder / f"{number}.json", task_result(task, score))
        write_ranks(folder, ARXIV, [1 if score > 0.6 else 2] * 20)
        for path in folder.glob(f"{ARXIV}_*"):
            path.write_text(path.read_text().replace('"q', '"<svg onload=alert(1)>'))
    path = written(tmp_path / "page.html", *tmp_path.iterdir())
    tab.open(path)
    assert tab.trouble == []
    assert tab.page.locator("script, img, iframe, [onload], [onerror]").count() == 0
    assert tab.page.locator("a:not([href^='#'])").count() == 0
    seen = tab.page.locator("main").inner_text()
    assert "<svg onload=alert(1)>" in seen
    assert all(text in seen for text in HOSTILE)
    assert "\u202e" not in path.read_text("utf-8")


def test_the_policy_stops_scripts(tab, pages, tmp_path):
    planted = "<script>document.title='ran'</script></main>"
    path = tmp_path / "page.html"
    path.write_text(pages.read_text("utf-8").replace("</main>", planted), "utf-8")
    tab.open(path)
    assert tab.page.title() != "ran"
    assert any("Content Security Policy" in line for line in tab.trouble)
