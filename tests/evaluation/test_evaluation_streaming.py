import contextlib
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import pytest
from click.testing import CliRunner

pytest.importorskip("mteb")
import torch
from mteb.results import TaskResult
from support.vidore_copies import write_copy, write_version_3

from colintern.cli import main
from colintern.evaluation.checkpoint import find_checkpoint
from colintern.evaluation.maxsim import maxsim_scores
from colintern.evaluation.page_store import BLOCK_BATCHES, PageStore, batches_of
from colintern.evaluation.processes import Processes
from colintern.evaluation.retriever import Retriever, load_retriever
from colintern.evaluation.streaming import StreamingSearch
from colintern.pages.world import TASK

# A forked process has none of the threads of its parent's pool, and would wait for them.
torch.set_num_threads(1)

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
    # Python 3.12 on: the children here run no thread of the parent's.
    pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The task '.*' is superseded:UserWarning"),
]
DOCVQA = "VidoreDocVQARetrieval"
ESG = "Vidore2ESGReportsRetrieval"
HR = "Vidore3HrRetrieval"
COPIES = {
    DOCVQA: "mteb/docvqa_test_subsampled_beir",
    ESG: "vidore/esg_reports_v2",
    HR: "vidore/vidore_v3_hr_mteb_format",
}

NUM_OF_HR = {"vidore-eval": 20, "evaluate": 6 * 20}
"""Pages that are embedded for it: MTEB's own search embeds the corpus of each language anew."""


def run(command, results, *arguments, model="demo:healthy"):
    flag = "--model-path" if command == "evaluate" else "--checkpoint-path"
    words = [command, flag, model, "--results-dir", str(results), *map(str, arguments)]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    return done.output


def scores(results, task, name="healthy"):
    result = TaskResult.from_disk(results / name / f"{task}.json")
    return {entry["hf_subset"]: entry for entry in result.scores["test"]}


def assert_agree(one, other):
    assert one.keys() == other.keys()
    for subset, entry in one.items():
        shared = [key for key in entry if "_at_" in key and "nauc" not in key]
        assert len(shared) > 20
        for key in shared:
            assert entry[key] == pytest.approx(other[subset][key], abs=1e-4), (subset, key)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_copy(folder / COPIES[DOCVQA], num_pages=60, readme=False)
    languages = ("english", "french", "german", "spanish")
    write_copy(folder / COPIES[ESG], num_pages=40, languages=languages)
    write_version_3(folder / COPIES[HR], num_pages=20)
    return folder


@pytest.fixture(scope="module")
def streamed(tmp_path_factory, data):
    results = tmp_path_factory.mktemp("streamed")
    tasks = ("pages", DOCVQA, ESG, HR)
    run("vidore-eval", results, "--batch-size", 16, "--data-dir", data, "--benchmarks", *tasks)
    return results


def test_streaming_agrees_with_mteb(streamed, data, tmp_path):
    tasks = ("pages", DOCVQA, ESG, HR)
    run("evaluate", tmp_path, "--batch-size", 16, "--data-dir", data, "--benchmarks", *tasks)
    for task in (TASK, DOCVQA, ESG, HR):
        assert_agree(scores(streamed, task), scores(tmp_path, task))
    assert len(scores(streamed, ESG)) == 4
    assert len(scores(streamed, HR)) == 6
    assert scores(streamed, DOCVQA)["default"]["ndcg_at_5"] > 0.8


def test_languages_share_an_embedded_corpus(data, tmp_path, monkeypatch):
    embedded = count_pages(monkeypatch)
    run("vidore-eval", tmp_path, "--data-dir", data, "--benchmarks", ESG)
    assert len(embedded) == 40


def test_no_embedded_page_is_left_behind(streamed):
    assert not (streamed / "healthy" / ".pages").exists()


def test_a_page_scores_alike_in_any_company():
    generator = torch.Generator().manual_seed(0)
    query = -torch.rand(3, 8, generator=generator)
    short, long = torch.rand(2, 8, generator=generator), torch.rand(9, 8, generator=generator)
    alone = maxsim_scores([query], [short], torch.device("cpu"))
    together = maxsim_scores([query], [short, long], torch.device("cpu"))
    assert alone[0, 0] < 0
    assert together[0, 0] == alone[0, 0]


def test_a_query_scores_alike_in_any_company():
    generator = torch.Generator().manual_seed(0)
    page, short, long = (torch.randn(count, 8, generator=generator) for count in (4, 2, 9))
    alone = maxsim_scores([short], [page], torch.device("cpu"))
    together = maxsim_scores([short, long], [page], torch.device("cpu"))
    assert together[0, 0] == alone[0, 0]


def test_blocks_are_of_one_model_alone(tmp_path):
    retriever = load_retriever(find_checkpoint("demo:healthy"))
    other = [
        replace(retriever, checkpoint=replace(retriever.checkpoint, **{name: "other"}))
        for name in ("weights_sha256", "settings_sha256")
    ]
    keys = {StreamingSearch(each, tmp_path, Processes())._key() for each in (retriever, *other)}
    assert len(keys) == 3


def test_blocks_keep_half_precision_and_lengths(tmp_path):
    store = PageStore(tmp_path / "store", torch.float32)
    pages = [torch.rand(3, 8), torch.rand(5, 8)]
    store.write(0, pages)
    found = store.read(0)
    assert [page.shape for page in found] == [(3, 8), (5, 8)]
    assert found[0].dtype == torch.float16
    assert torch.allclose(found[1].float(), pages[1], atol=1e-3)


@pytest.mark.parametrize(
    ("lengths", "sizes"),
    [
        ([10] * 10, [4, 4, 2]),
        ([100, 1, 1, 1, 1, 1, 1, 1], [1, 4, 3]),
        ([1, 8, 4, 2, 8, 1], [2, 4]),
        ([], []),
    ],
)
def test_a_batch_holds_about_as_many_tokens(lengths, sizes):
    batches = list(batches_of(lengths, 4))
    assert [len(batch) for batch in batches] == sizes
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    found = [lengths[row] for batch in batches for row in batch]
    assert found == sorted(lengths, reverse=True)


def test_a_torn_block_is_embedded_again(tmp_path):
    store = PageStore(tmp_path, torch.bfloat16)
    store.write(0, [torch.rand(3, 8)])
    path = next(tmp_path.glob("block-*"))
    assert store.has(0)
    path.write_bytes(path.read_bytes()[:-8])
    assert not store.has(0)


def started(words, **environment):
    """Run the command line in a process of its own, without paying for the imports again."""
    child = os.fork()
    if child:
        return child
    with contextlib.suppress(BaseException):
        os.environ.update({name: str(value) for name, value in environment.items()})
        code = CliRunner().invoke(main, words).exit_code
        os._exit(code)
    os._exit(99)


def stream(results, data, batch_size):
    words = ["vidore-eval", "--checkpoint-path", "demo:healthy", "--results-dir", str(results)]
    words += ["--data-dir", str(data), "--batch-size", str(batch_size)]
    return [*words, "--benchmarks", DOCVQA]


def test_two_processes_share_a_corpus(streamed, data, tmp_path, monkeypatch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launched = {"WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    words = stream(tmp_path, data, 4)

    def note(number):
        (tmp_path / f"embedded-by-{os.environ['RANK']}").write_text(str(number))

    count_pages(monkeypatch, note)
    children = [started(words, RANK=rank, LOCAL_RANK=rank, **launched) for rank in range(2)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    assert_agree(scores(streamed, DOCVQA), scores(tmp_path, DOCVQA))
    assert len(list((tmp_path / "healthy").glob("*.json"))) == 3
    shares = [int(path.read_text()) for path in tmp_path.glob("embedded-by-*")]
    assert sum(shares) == 60
    assert min(shares) > 20


def blocks_in(results):
    return {path: path.stat().st_mtime_ns for path in results.rglob("block-*.safetensors")}


def count_pages(monkeypatch, reached=lambda _: None):
    """Count the pages that are prepared for the model, and tell how many there were."""
    embedded = []
    prepare = Retriever.prepare_pages

    def counted(self, pages):
        embedded.extend(pages)
        reached(len(embedded))
        return prepare(self, pages)

    monkeypatch.setattr(Retriever, "prepare_pages", counted)
    return embedded


def killed_at(words, num_pages, monkeypatch):
    """Run a command that is killed -9 as it comes to a page of this number."""

    def reached(number):
        if number == num_pages:
            os.kill(os.getpid(), signal.SIGKILL)

    with monkeypatch.context() as patch:
        count_pages(patch, reached)
        child = started(words)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def figures(results, task):
    return {
        subset: {key: value for key, value in entry.items() if "nauc" not in key}
        for subset, entry in scores(results, task).items()
    }


@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.acceptance)])
def test_a_killed_evaluation_goes_on_in_the_corpus(kills, data, tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert CliRunner().invoke(main, stream(whole, data, 1)).exit_code == 0
    seen = [{}]
    for number in range(kills):
        killed_at(stream(broken, data, 1), BLOCK_BATCHES + 1 + number % BLOCK_BATCHES, monkeypatch)
        seen.append(blocks_in(broken))
    for earlier, later in pairwise(seen):
        assert earlier.items() < later.items(), "a finished block was embedded again"
    embedded = count_pages(monkeypatch)
    assert CliRunner().invoke(main, stream(broken, data, 1)).exit_code == 0
    assert len(embedded) == 60 - BLOCK_BATCHES * kills
    assert figures(broken, DOCVQA) == figures(whole, DOCVQA)


KILLED = """
import os, signal, sys
from click.testing import CliRunner
from colintern.cli import main
from colintern.evaluation.retriever import Retriever

prepare, left = Retriever.prepare_pages, int(sys.argv[1])

def counted(self, pages):
    global left
    left -= len(pages)
    if left <= 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return prepare(self, pages)

Retriever.prepare_pages = counted
CliRunner().invoke(main, sys.argv[2:])
"""
"""In a process of its own: a fork would wait for threads of the parent's that it does not have."""


@pytest.mark.acceptance
@pytest.mark.parametrize("command", ["vidore-eval", "evaluate"])
def test_a_kill_costs_no_task_that_is_finished(command, data, tmp_path, monkeypatch, streamed):
    flag = "--checkpoint-path" if command == "vidore-eval" else "--model-path"
    words = [command, flag, "demo:healthy", "--results-dir", str(tmp_path), "--batch-size", "4"]
    words += ["--data-dir", str(data), "--benchmarks", HR, DOCVQA]
    number = str(NUM_OF_HR[command] + 30)
    done = subprocess.run([sys.executable, "-c", KILLED, number, *words], check=False)
    assert done.returncode == -signal.SIGKILL
    finished = tmp_path / "healthy" / f"{HR}.json"
    written = finished.stat().st_mtime_ns
    assert not finished.with_name(f"{DOCVQA}.json").exists()
    kept = BLOCK_BATCHES * 4 * len(blocks_in(tmp_path))
    embedded = count_pages(monkeypatch)
    assert CliRunner().invoke(main, words).exit_code == 0
    assert finished.stat().st_mtime_ns == written
    assert len(embedded) == 60 - kept
    for task in (HR, DOCVQA):
        assert_agree(scores(tmp_path, task), scores(streamed, task))
