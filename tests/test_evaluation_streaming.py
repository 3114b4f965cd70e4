import contextlib
import os
import signal
import socket
import time
from itertools import pairwise

import pytest
from click.testing import CliRunner

pytest.importorskip("mteb")
import torch
from mteb.results import TaskResult
from vidore_copies import write_copy, write_version_3

from colintern.cli import main
from colintern.evaluation.maxsim import maxsim_scores
from colintern.evaluation.page_store import PageStore, batches_of
from colintern.evaluation.retriever import Retriever
from colintern.pages.world import TASK

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
    embedded = []
    prepare = Retriever.prepare_pages
    monkeypatch.setattr(
        Retriever,
        "prepare_pages",
        lambda self, pages: embedded.extend(pages) or prepare(self, pages),
    )
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


def test_two_processes_share_a_corpus(streamed, data, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    launched = {"WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    words = stream(tmp_path, data, 4)
    children = [started(words, RANK=rank, LOCAL_RANK=rank, **launched) for rank in range(2)]
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0]
    assert_agree(scores(streamed, DOCVQA), scores(tmp_path, DOCVQA))
    assert len(list((tmp_path / "healthy").glob("*.json"))) == 3


def blocks_in(results):
    return {path: path.stat().st_mtime_ns for path in results.rglob("block-*.safetensors")}


def kill_after_a_block(results, data):
    """Kill -9 as soon as one more block is embedded; return the blocks that are there then."""
    earlier = len(blocks_in(results))
    child = started(stream(results, data, 1))
    while len(blocks_in(results)) == earlier:
        assert os.waitpid(child, os.WNOHANG)[0] == 0, "it finished before it was killed"
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return blocks_in(results)


@pytest.mark.parametrize("kills", [1, pytest.param(10, marks=pytest.mark.acceptance)])
def test_a_killed_evaluation_goes_on_in_the_corpus(kills, data, tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert CliRunner().invoke(main, stream(whole, data, 1)).exit_code == 0
    seen = [kill_after_a_block(broken, data) for _ in range(kills)]
    for earlier, later in pairwise(seen):
        assert earlier.items() <= later.items(), "a finished block was embedded again"
    embedded = []
    prepare = Retriever.prepare_pages
    monkeypatch.setattr(
        Retriever,
        "prepare_pages",
        lambda self, pages: embedded.extend(pages) or prepare(self, pages),
    )
    assert CliRunner().invoke(main, stream(broken, data, 1)).exit_code == 0
    assert len(embedded) == 60 - 4 * len(seen[-1])
    final, expected = scores(broken, DOCVQA)["default"], scores(whole, DOCVQA)["default"]
    assert {key: value for key, value in final.items() if "nauc" not in key} == {
        key: value for key, value in expected.items() if "nauc" not in key
    }
