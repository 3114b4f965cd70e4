import gc
import json
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("mteb")
import torch
from mteb.results import TaskResult
from peft.tuners.tuners_utils import BaseTuner
from safetensors.numpy import load_file, save_file
from support.vidore_copies import write_copy

from colintern.artifacts.files import Enclosure
from colintern.artifacts.model.base_model import resolve_base
from colintern.artifacts.results.evaluation_record import read_evaluation_record
from colintern.artifacts.results.folder import read_results_folder
from colintern.artifacts.results.predictions import read_task_queries
from colintern.artifacts.run.manifest import DatasetRecord, RunManifest
from colintern.cli import main
from colintern.diagnostics.results.comparison import compare
from colintern.diagnostics.results.evaluated_weights import changed_results
from colintern.diagnostics.results.query_scores import query_scores
from colintern.diagnostics.results.result_table import result_table
from colintern.evaluation.checkpoint import CheckpointError, find_checkpoint
from colintern.evaluation.local_data import DataError, load_data
from colintern.evaluation.model_meta import training_tasks
from colintern.evaluation.pages import evaluate_pages
from colintern.evaluation.results import ResultsFolder
from colintern.evaluation.retriever import MergeError, NotFiniteError, Retriever, load_retriever
from colintern.evaluation.task_names import UnknownNameError, chosen_tasks, task_names
from colintern.evaluation.task_run import is_finished
from colintern.evaluation.wrapper import ColIntern3_5Wrapper
from colintern.pages.world import TASK
from colintern.report.compared_runs import read_evaluated

# Warnings of others, by their exact words; pytest would make them errors.
pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]
HEALTHY = Path(main.callback.__code__.co_filename).parent / "assets" / "demo" / "healthy"
POOR = HEALTHY.with_name("poor-settings")


def evaluate(*arguments, model=HEALTHY):
    command = ["evaluate", "--model-path", str(model), "--batch-size", "64", *map(str, arguments)]
    return CliRunner().invoke(main, command)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    done = evaluate("--benchmarks", "pages", "--results-dir", folder)
    assert done.exit_code == 0, done.output
    assert "excellent" in done.output
    return folder / "healthy"


@pytest.fixture
def copied(evaluated, tmp_path):
    shutil.copytree(evaluated, tmp_path / "healthy")
    return tmp_path / "healthy"


@pytest.fixture
def no_embedding(monkeypatch):
    def refuse(*_):
        pytest.fail("a finished task was embedded again")

    monkeypatch.setattr(Retriever, "embed_pages", refuse)


def test_mteb_agrees_with_our_ranking(evaluated):
    ours = json.loads((HEALTHY / "results" / f"{TASK}.json").read_text())["scores"]["test"][0]
    theirs = TaskResult.from_disk(evaluated / f"{TASK}.json").scores["test"][0]
    shared = [name for name in ours if "_at_" in name]
    assert len(shared) > 20
    for name in shared:
        assert theirs[name] == pytest.approx(ours[name], abs=1e-4), name


def test_the_audit_reads_the_results(evaluated):
    results = read_results_folder(evaluated, Enclosure.around(evaluated))
    assert list(results.tasks) == [TASK]
    assert not results.errors
    assert result_table(results).banded_means["pages"] == pytest.approx(0.971, abs=0.002)
    assert results.model_meta.embed_dim == 128
    assert results.model_meta.training_names == (TASK,)


def test_the_record_names_the_weights(evaluated):
    record = read_evaluation_record(evaluated / "colintern_eval.json", Enclosure.around(evaluated))
    assert record.weights_sha256 == find_checkpoint(str(HEALTHY)).weights_sha256
    assert record.started < record.ended
    assert record.versions["mteb"]


def test_the_record_names_the_base(evaluated):
    record = read_evaluation_record(evaluated / "colintern_eval.json", Enclosure.around(evaluated))
    trained = json.loads((HEALTHY / "colintern_run.json").read_text())["base"]
    assert record.base.layers_sha256 == trained["layers_sha256"]
    assert (record.base.id, record.base.by_option) == (trained["id"], False)


def test_another_base_leaves_its_trace(tmp_path):
    other = tmp_path / "other"
    shutil.copytree(resolve_base("colintern/tiny-base"), other)
    tensors = load_file(other / "model.safetensors")
    changed = {name: value * (2 if ".layers." in name else 1) for name, value in tensors.items()}
    save_file(changed, other / "model.safetensors", metadata={"format": "pt"})
    base = find_checkpoint(str(HEALTHY), base=str(other)).evaluated_base
    own = find_checkpoint(str(HEALTHY)).evaluated_base
    assert (base.id, base.by_option) == (str(other), True)
    assert base.layers_sha256 not in {None, own.layers_sha256}


def test_the_record_knows_its_own_results(evaluated):
    record = read_evaluation_record(evaluated / "colintern_eval.json", Enclosure.around(evaluated))
    results = read_results_folder(evaluated, Enclosure.around(evaluated))
    found = changed_results(results, [record])
    assert (found.num_known, found.edited, found.replaced) == (1, (), ())


def test_query_scores_average_to_the_result(evaluated):
    kept = json.loads((evaluated / "per_query" / f"{TASK}_predictions.json").read_text())
    scores = [each["ndcg_at_5"] for each in kept["scores"]["test"]["default"].values()]
    result = TaskResult.from_disk(evaluated / f"{TASK}.json").scores["test"][0]
    assert len(scores) == 300
    assert sum(scores) / len(scores) == pytest.approx(result["ndcg_at_5"], abs=1e-5)


def test_rankings_score_to_the_result(evaluated):
    results = read_results_folder(evaluated, Enclosure.around(evaluated))
    scored = query_scores(results.tasks[TASK], read_task_queries(results, TASK))
    assert scored.reason == ""
    kept = json.loads((evaluated / "per_query" / f"{TASK}_predictions.json").read_text())
    by_query = kept["scores"]["test"]["default"]
    assert {each.query for each in scored.scores} == by_query.keys()
    for each in scored.scores:
        assert each.ndcg_at_5 == pytest.approx(by_query[each.query]["ndcg_at_5"], abs=1e-5)


def compared(first, second):
    models = [read_evaluated(path, path.name) for path in (first, second)]
    (task,) = compare(*models).tasks
    return task


def test_a_checkpoint_is_no_different_from_itself(evaluated, tmp_path):
    again = evaluate_pages(HEALTHY, tmp_path / "healthy-again")
    task = compared(evaluated, tmp_path / "healthy-again")
    assert task.second == again
    assert (task.basis, task.verdict) == ("queries", "no difference")
    assert len(task.pairs) == 300
    assert task.wins + task.losses <= 1


def test_a_poor_checkpoint_is_certainly_worse(evaluated, tmp_path):
    evaluate_pages(POOR, tmp_path / "poor")
    task = compared(evaluated, tmp_path / "poor")
    assert (task.basis, task.verdict, task.wins) == ("queries", "worse", 0)
    assert task.interval.high < -0.8
    assert task.losses > 250


@pytest.mark.acceptance
def test_two_seeds_are_not_called_different(tmp_path):
    for seed in ("1", "2"):
        run = tmp_path / f"seed-{seed}"
        words = ["train", "--recipe", "tiny", "--output-dir", str(run), "--seed", seed]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 0, done.output
        evaluate_pages(run, run / "results")
    task = compared(tmp_path / "seed-1", tmp_path / "seed-2")
    assert task.first != task.second
    assert (task.basis, task.verdict) == ("queries", "no difference")


@pytest.mark.usefixtures("no_embedding")
def test_a_finished_task_is_kept(copied):
    done = evaluate("--benchmarks", "pages", "--results-dir", copied.parent)
    assert done.exit_code == 0
    assert "nothing is evaluated again" in done.output


def test_results_of_other_weights_are_moved_away(copied, monkeypatch):
    record = copied / "colintern_eval.json"
    record.write_text(record.read_text().replace('"weights_sha256": "', '"weights_sha256": "0'))
    embedded = []
    embed = Retriever.embed_pages
    monkeypatch.setattr(
        Retriever, "embed_pages", lambda self, pages: embedded.append(1) or embed(self, pages)
    )
    done = evaluate("--benchmarks", "pages", "--results-dir", copied.parent)
    assert done.exit_code == 0, done.output
    assert embedded
    assert list(copied.glob(f".outdated/*/{TASK}.json"))


@pytest.mark.parametrize("content", ["{", "[1, 2]", '{"scores": {"test": [1]}}'])
def test_a_broken_result_is_made_again(copied, content):
    (task,) = chosen_tasks(["pages"])
    folder = ResultsFolder(copied)
    assert is_finished(task, folder)
    (copied / f"{TASK}.json").write_text(content)
    assert not is_finished(task, folder)


@pytest.mark.parametrize("content", ["{", "[]", '{"scores": 1}', '{"scores": {"test": []}}'])
def test_broken_query_scores_are_none(copied, content):
    folder, revision = ResultsFolder(copied), chosen_tasks(["pages"])[0].metadata.revision
    assert folder.read_per_query(TASK, revision)["test"]
    assert folder.read_per_query(TASK, "other") == {}
    path = copied / "per_query" / f"{TASK}_predictions.json"
    path.write_text(content.replace("{", f'{{"dataset_revision": "{revision}", ', 1))
    assert folder.read_per_query(TASK, revision) == {}


@pytest.mark.parametrize("key", ["query_prefix", "padding_side", "max_num_visual_tokens", "dtype"])
def test_results_of_another_format_are_moved_away(copied, key):
    record = json.loads((copied / "colintern_eval.json").read_text())
    assert ResultsFolder(copied).start(record) is None
    moved = ResultsFolder(copied).start(record | {key: "other"})
    assert (moved / f"{TASK}.json").exists()
    assert [path.name for path in copied.glob("*.json")] == ["colintern_eval.json"]


def test_a_result_of_other_data_is_not_finished(copied):
    (task,) = chosen_tasks(["pages"])
    path = copied / f"{TASK}.json"
    changed = json.loads(path.read_text()) | {"dataset_revision": "other"}
    path.write_text(json.dumps(changed))
    assert not is_finished(task, ResultsFolder(copied))


CHANGES = {
    "the same": ("processor_config.json", "x", "x", False),
    "query format": ("processor_config.json", '"query_prefix": ""', '"query_prefix": "Q: "', True),
    "scale of the adapter": ("adapter_config.json", '"lora_alpha": 16', '"lora_alpha": 32', True),
    "base": ("adapter_config.json", "colintern/tiny-base", "BASE", True),
}


@pytest.mark.parametrize("change", CHANGES)
def test_finished_tasks_are_of_these_settings(evaluated, tmp_path, change):
    run, base = tmp_path / "healthy", tmp_path / "base"
    shutil.copytree(HEALTHY, run)
    shutil.copytree(HEALTHY.parents[1] / "tiny-base", base)
    tensors = load_file(base / "model.safetensors")
    name = "language_model.layers.0.self_attn.q_proj.weight"
    save_file(tensors | {name: tensors[name] * 2}, base / "model.safetensors", {"format": "pt"})
    file, old, new, is_other = CHANGES[change]
    text = (run / file).read_text()
    assert old in text
    (run / file).write_text(text.replace(old, new.replace("BASE", str(base))))
    folder = ResultsFolder(evaluated)
    assert folder.is_of(find_checkpoint(str(HEALTHY)))
    assert folder.is_of(find_checkpoint(str(run))) is not is_other


def test_results_stay_where_only_the_place_of_the_base_changed(evaluated, tmp_path):
    run, base = tmp_path / "healthy", tmp_path / "moved-base"
    shutil.copytree(HEALTHY, run)
    shutil.copytree(HEALTHY.parents[1] / "tiny-base", base)
    path = run / "adapter_config.json"
    path.write_text(path.read_text().replace("colintern/tiny-base", str(base)))
    assert ResultsFolder(evaluated).is_of(find_checkpoint(str(run)))


def test_a_base_that_loading_fetches_changes_no_settings(tmp_path, monkeypatch):
    run, hub, commit = tmp_path / "healthy", tmp_path / "hub", "c" * 40
    shutil.copytree(HEALTHY, run)
    for path in (run / "adapter_config.json", run / "colintern_run.json"):
        path.write_text(path.read_text().replace("colintern/tiny-base", "org/tiny"))
    monkeypatch.setenv("HF_HUB_CACHE", str(hub))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(hub))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    before = find_checkpoint(str(run))
    shutil.copytree(HEALTHY.parents[1] / "tiny-base", hub / "models--org--tiny/snapshots" / commit)
    (hub / "models--org--tiny" / "refs").mkdir()
    (hub / "models--org--tiny" / "refs" / "main").write_text(commit)
    loaded = load_retriever(before).checkpoint
    assert (before.base, loaded.name) == ("org/tiny", before.name)
    assert loaded.settings_sha256 == find_checkpoint(str(run)).settings_sha256
    assert loaded.settings_sha256 != before.settings_sha256


def test_an_older_record_has_no_hash_of_settings(copied):
    record = copied / "colintern_eval.json"
    recorded = json.loads(record.read_text())
    del recorded["settings_sha256"]
    record.write_text(json.dumps(recorded))
    assert ResultsFolder(copied).is_of(find_checkpoint("demo:healthy"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--results-dir", "FILE"), "results cannot be written (Not a directory)"),
        (("--device", "cuda:99"), "device cuda:99: cannot be used"),
        (("--device", "gpu"), "there is cpu"),
        (("--base", "/no/such"), "--base /no/such: no such folder"),
    ],
)
def test_mistakes_are_one_sentence(tmp_path, arguments, message):
    (tmp_path / "file").write_text("")
    words = [word.replace("FILE", str(tmp_path / "file")) for word in arguments]
    done = evaluate("--benchmarks", "pages", "--results-dir", tmp_path / "results", *words)
    assert (done.exit_code, type(done.exception)) == (1, SystemExit)
    assert message in done.output


def test_a_half_copy_is_named_by_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "views"))
    (tmp_path / "views").mkdir()
    copy = tmp_path / "data" / "VidoreDocVQARetrieval"
    write_copy(copy, num_pages=4, readme=False)
    shutil.rmtree(copy / "queries")
    (task,) = chosen_tasks(["VidoreDocVQARetrieval"], tmp_path / "data")
    assert list((tmp_path / "views").iterdir())
    with pytest.raises(DataError, match=f"the data in {copy} cannot be read"):
        load_data(task, tmp_path / "data")
    del task
    gc.collect()
    assert not list((tmp_path / "views").iterdir())


def test_one_failing_task_loses_no_other(tmp_path):
    arguments = ("--benchmarks", "VidoreDocVQARetrieval", "pages", "--data-dir", tmp_path / "data")
    done = evaluate(*arguments, "--results-dir", tmp_path)
    assert done.exit_code == 1
    assert "FAILED VidoreDocVQARetrieval" in done.output
    assert str(tmp_path / "data" / "mteb" / "docvqa_test_subsampled_beir") in done.output
    assert (tmp_path / "healthy" / f"{TASK}.json").exists()


@pytest.mark.parametrize(
    ("name", "hint"),
    [("Vidore(v1)", None), ("VidoreDocVQA", "VidoreDocVQARetrieval"), ("vidore(v9)", "ViDoRe(v")],
)
def test_unknown_names_get_close_ones(name, hint):
    if hint is None:
        assert len(task_names(name)) == 10
        return
    with pytest.raises(UnknownNameError, match=hint.replace("(", r"\(")):
        task_names(name)


def test_the_wrapper_holds_the_trained_projection():
    wrapper = ColIntern3_5Wrapper(HEALTHY)
    adapted = load_retriever(find_checkpoint(str(HEALTHY)), merge=False).model
    projection = adapted.get_base_model().custom_text_proj
    trained = (
        projection.modules_to_save["default"]
        if hasattr(projection, "modules_to_save")
        else (projection.base_layer)
    )
    moved = wrapper.mdl.custom_text_proj.weight - trained.weight
    if hasattr(projection, "get_delta_weight"):
        moved = moved - projection.get_delta_weight("default")
    assert moved.abs().max() < 1e-6
    assert not [name for name, _ in wrapper.mdl.named_modules() if "lora" in name]
    meta = wrapper.mteb_model_meta
    assert meta.n_parameters == sum(each.numel() for each in wrapper.mdl.parameters())
    assert meta.n_embedding_parameters == wrapper.mdl.get_input_embeddings().weight.numel()
    assert wrapper.mteb_model_meta.revision == find_checkpoint(str(HEALTHY)).weights_sha256


@pytest.mark.parametrize(
    ("dataset", "tasks"),
    [
        ("vidore/colpali_train_set", "ArxivQA DocVQA InfoVQA Tatdqa"),
        ("colintern/pages", None),
        ("team/invoices", None),
    ],
)
def test_training_sets_have_their_names(dataset, tasks):
    manifest = RunManifest(schema="colintern.run/1", datasets=(DatasetRecord(name=dataset),))
    expected = {f"Vidore{task}Retrieval" for task in tasks.split()} if tasks else None
    other = {TASK} if dataset == "colintern/pages" else {dataset}
    assert training_tasks(manifest) == (expected or other)
    assert training_tasks(None) is None


def test_queries_are_embedded_in_their_format():
    retriever = load_retriever(find_checkpoint("demo:healthy"))
    prefixed = replace(retriever, query_prefix="red ")
    (one,), (other,) = prefixed.embed_queries(["lamp"]), retriever.embed_queries(["red lamp"])
    assert torch.equal(one, other)
    suffixed = replace(retriever, query_suffix=" red")
    (one,), (other,) = suffixed.embed_queries(["lamp"]), retriever.embed_queries(["lamp red"])
    assert torch.equal(one, other)
    assert len(one) == 2


def test_padding_is_no_part_of_a_query():
    retriever = load_retriever(find_checkpoint("demo:healthy"))
    texts = ["lamp", "red lamp blue chair"]
    alone = [retriever.embed_queries([text])[0] for text in texts]
    for one, other in zip(alone, retriever.embed_queries(texts), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("fault", ["skipped", "twice", "halved"])
def test_a_wrong_merge_is_refused(monkeypatch, fault):
    merge = BaseTuner.merge_and_unload

    def wrong(self, **options):
        layers = [m for m in self.modules() if hasattr(m, "get_delta_weight")]
        base = [(m.get_base_layer(), m.get_delta_weight("default").detach()) for m in layers]
        merged = merge(self, **options)
        share = {"skipped": -1.0, "twice": 1.0, "halved": -0.5}[fault]
        for layer, delta in base:
            layer.weight.data += share * delta
        return merged

    monkeypatch.setattr(BaseTuner, "merge_and_unload", wrong)
    with pytest.raises(CheckpointError, match="base \\+ s·B·A") as caught:
        load_retriever(find_checkpoint(str(HEALTHY)))
    assert isinstance(caught.value.__cause__, MergeError)


def test_an_embedding_that_is_nan_stops_the_task():
    retriever = load_retriever(find_checkpoint(str(HEALTHY)))
    next(retriever.model.parameters()).data.fill_(float("nan"))
    retriever.model.custom_text_proj.bias.data.fill_(float("nan"))
    with pytest.raises(NotFiniteError, match="`colintern audit` names the tensor"):
        retriever.embed_queries(["a query"])


@pytest.mark.parametrize("argument", ["/no/such/folder", "nobody/nothing"])
def test_a_model_that_is_not_there_is_named(argument, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match=argument):
        find_checkpoint(argument)
