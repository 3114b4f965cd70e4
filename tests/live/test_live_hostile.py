import json
import os
import shutil

import pytest
from support.auditing import CHECKS, audit

pytest.importorskip("peft")

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
]
ASSETS = CHECKS.parent / "colintern" / "assets"
TOUCH = "import os; open(os.environ['COLINTERN_TOUCHED'], 'w').close()\n"


def write_run(folder):
    """Copy a bundled run that learned nothing: nobody ranks pages with it."""
    run, base = folder / "run", folder / "base"
    shutil.copytree(
        ASSETS / "demo" / "healthy",
        run,
        ignore=shutil.ignore_patterns("checkpoint-*", "results", "colintern_run.json"),
    )
    shutil.copytree(ASSETS / "tiny-base", base)
    edit(run / "adapter_config.json", base_model_name_or_path=str(base))
    return run


def edit(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def edit_part(path, part, **changes):
    document = json.loads(path.read_text())
    document[part] |= changes
    path.write_text(json.dumps(document))


def a_million_layers(run):
    edit_part(run.parent / "base" / "config.json", "text_config", num_hidden_layers=10**6)


def a_billion_words(run):
    edit_part(run.parent / "base" / "config.json", "text_config", vocab_size=10**9)


def a_billion_labels(run):
    edit(run.parent / "base" / "config.json", num_labels=10**9)


def rank_of_a_million(run):
    edit(run / "adapter_config.json", r=10**6)


def pages_of_a_gigapixel(run):
    size = {"height": 10**5, "width": 10**5}
    edit_part(run / "processor_config.json", "image_processor", size=size)


def no_attention_heads(run):
    edit_part(run.parent / "base" / "config.json", "text_config", num_attention_heads=0)


def pages_of_another_size(run):
    size = {"height": 56, "width": 56}
    edit_part(run / "processor_config.json", "image_processor", size=size)


def module_to_import(run):
    (run / "touch.py").write_text(TOUCH)
    edit(run / "adapter_config.json", megatron_config={"a": 1}, megatron_core="touch")


def code_of_its_own(run):
    for folder, name in (
        (run.parent / "base", "config.json"),
        (run, "processor_config.json"),
        (run, "tokenizer_config.json"),
    ):
        (folder / "touch.py").write_text(TOUCH)
        auto = ("AutoConfig", "AutoModel", "AutoProcessor", "AutoTokenizer", "AutoImageProcessor")
        edit(folder / name, auto_map=dict.fromkeys(auto, "touch.Touch"))


REFUSED = {
    a_million_layers: "num_hidden_layers = 1,000,000",
    a_billion_words: "parameters",
    a_billion_labels: "num_labels = 1,000,000,000",
    rank_of_a_million: "rank 1,000,000",
    pages_of_a_gigapixel: "pixels along an edge",
    no_attention_heads: "Error",
    pages_of_another_size: "cannot embed a page",
    module_to_import: "names a module to import",
}


def test_a_hostile_checkpoint_is_one_clean_sentence(pytester, tmp_path, monkeypatch):
    monkeypatch.setenv("COLINTERN_TOUCHED", str(tmp_path / "touched"))
    runs = {fault: write_run(tmp_path / fault.__name__) for fault in (*REFUSED, code_of_its_own)}
    for fault, run in runs.items():
        fault(run)
    named = [word for run in runs.values() for word in ("--checkpoint", run)]
    result = audit(pytester, "--live", "--select", "LIV006", *named)
    checks = {check["subject"].partition("/")[0]: check for check in result.document["checks"]}
    for fault, words in REFUSED.items():
        check = checks[fault.__name__]
        assert check["outcome"] == "failed", result.output
        assert words in check["observed"]
        assert "\n" not in check["observed"]
        assert "Traceback" not in check["observed"]
    assert not os.path.lexists(tmp_path / "touched")
    assert checks["code_of_its_own"]["outcome"] == "passed", result.output
