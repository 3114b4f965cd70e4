import json
import shutil

import pytest
from click.testing import CliRunner
from support.auditing import audit

pytest.importorskip("mteb")
import torch
from mteb.results import TaskResult
from peft import PeftModel
from support.tiny_engine import write_run
from support.vidore_copies import write_copy

from colintern.cli import main
from colintern.evaluation.checkpoint import find_checkpoint
from colintern.evaluation.retriever import load_retriever

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]
DOCVQA = "VidoreDocVQARetrieval"


@pytest.fixture(scope="module")
def engine_run(tmp_path_factory):
    return write_run(tmp_path_factory.mktemp("engine"))


def halved(run):
    """Halve the largest area of a page, wherever the processor's files have it."""
    named = [run / name for name in ("processor_config.json", "preprocessor_config.json")]
    for path in (path for path in named if path.exists()):
        text = path.read_text()
        path.write_text(text.replace(str(112 * 112), str(112 * 56)))


def test_both_evaluators_agree_on_an_engine_model(pytester, engine_run, tmp_path):
    write_copy(tmp_path / "data" / DOCVQA, num_pages=24)
    scores = {}
    for command, flag in (("evaluate", "--model-path"), ("vidore-eval", "--checkpoint-path")):
        results = tmp_path / command
        words = [command, flag, str(engine_run), "--data-dir", str(tmp_path / "data")]
        done = CliRunner().invoke(
            main, [*words, "--results-dir", str(results), "--benchmarks", DOCVQA]
        )
        assert done.exit_code == 0, done.output
        (entry,) = TaskResult.from_disk(results / "run" / f"{DOCVQA}.json").scores["test"]
        scores[command] = {key: entry[key] for key in entry if "_at_" in key and "nauc" not in key}
    assert scores["evaluate"] == pytest.approx(scores["vidore-eval"], abs=1e-4)
    run = shutil.copytree(engine_run, tmp_path / "run")
    arguments = ("--checkpoint", run, "--results", tmp_path / "evaluate", "--select", "PRC004")
    assert audit(pytester, *arguments).outcomes["PRC004"] == "passed"
    halved(run)
    found = audit(pytester, *arguments)
    assert found.outcomes["PRC004"] == "warned", found.output
    assert "8 tokens in the saved processor, 16 tokens in" in found.check("PRC004")["observed"]


def test_an_engine_model_is_loaded_as_the_engine_does(engine_run):
    retriever = load_retriever(find_checkpoint(str(engine_run)))
    assert type(retriever.model).__name__ == "ColQwen2"
    base = type(retriever.model).from_pretrained(engine_run.parent / "colqwen2-base")
    adapted = PeftModel.from_pretrained(base, engine_run).eval()
    texts = ["red lamp", "blue chair"]
    features = retriever.processor.process_queries(texts)
    with torch.inference_mode():
        expected = adapted(**features)
    for one, row, mask in zip(
        retriever.embed_queries(texts), expected, features["attention_mask"], strict=True
    ):
        assert torch.allclose(one, row[mask.bool()], atol=1e-5)


def test_the_prefix_of_training_is_used(engine_run, tmp_path):
    run = tmp_path / "old"
    shutil.copytree(engine_run, run)
    manifest = {"schema": "colintern.run/1", "versions": {"colpali-engine": "0.3.10"}}
    (run / "colintern_run.json").write_text(json.dumps(manifest))
    assert load_retriever(find_checkpoint(str(engine_run))).query_prefix == ""
    assert load_retriever(find_checkpoint(str(run))).query_prefix == "Query: "


def test_an_engine_model_is_audited_and_merged(pytester, engine_run, tmp_path):
    result = audit(pytester, "--checkpoint", engine_run)
    assert result.document["subjects"][0]["family"] == "ColQwen2"
    assert result.outcomes["ADP003"] == "passed", result.output
    merged = tmp_path / "merged"
    done = CliRunner().invoke(main, ["merge", str(engine_run), "--output-dir", str(merged)])
    assert done.exit_code == 0, done.output
    verified = audit(pytester, "--checkpoint", engine_run, "--merged", merged)
    assert verified.outcomes["ADP020"] == "passed", verified.output
