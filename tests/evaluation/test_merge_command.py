import pytest
from click.testing import CliRunner
from support.auditing import audit

pytest.importorskip("peft")
import torch

from colintern.cli import main
from colintern.evaluation import merged_model
from colintern.evaluation.checkpoint import find_checkpoint
from colintern.evaluation.retriever import load_retriever

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]


def merge(*arguments):
    return CliRunner().invoke(main, ["merge", *map(str, arguments)])


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("merge") / "merged"
    done = merge("demo:healthy", "--output-dir", folder)
    assert done.exit_code == 0, done.output
    return folder


def test_the_audit_verifies_a_merge(pytester, merged):
    result = audit(pytester, "--checkpoint", "demo:healthy", "--merged", merged)
    assert result.outcomes["ADP020"] == "passed", result.output
    alone = audit(pytester, "--checkpoint", merged)
    # The folder has neither the adapter's log nor its results: nothing shows what was learned.
    assert alone.exit_code == 5, alone.output
    assert alone.document["subjects"][0]["floor"] == ["learning"]
    assert alone.of_outcome("failed", "warned", "error") == []
    assert alone.outcomes["PRC001"] == "passed"


def test_a_merged_model_embeds_like_its_adapter(merged):
    texts = ["red lamp", "blue chair seven"]
    adapted = load_retriever(find_checkpoint("demo:healthy")).embed_queries(texts)
    whole = load_retriever(find_checkpoint(str(merged))).embed_queries(texts)
    for one, other in zip(adapted, whole, strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_a_wrong_merge_leaves_no_folder(tmp_path, monkeypatch):
    load = merged_model.load_retriever

    def spoiled(*arguments, **options):
        retriever = load(*arguments, **options)
        retriever.model.language_model.layers[0].self_attn.q_proj.weight.data *= 1.5
        return retriever

    monkeypatch.setattr(merged_model, "load_retriever", spoiled)
    done = merge("demo:healthy", "--output-dir", tmp_path / "merged")
    assert done.exit_code == 1
    assert "not base + s·B·A" in done.output
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_refused(tmp_path, merged):
    assert "must not exist yet" in merge("demo:healthy", "--output-dir", tmp_path).output
    done = merge(merged, "--output-dir", tmp_path / "again")
    assert done.exit_code == 1
    assert "nothing to merge" in done.output


def test_a_place_that_cannot_be_written_is_told_first(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(merged_model, "load_retriever", lambda *_, **__: pytest.fail("loaded"))
    done = merge("demo:healthy", "--output-dir", tmp_path / "file" / "merged")
    assert done.exit_code == 1
    assert "cannot be written (Not a directory)" in done.output
