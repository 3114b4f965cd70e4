import json

import numpy as np
import pytest
from builders.adapter import PROJECTION, base_config, base_tensors, write_adapter, write_tensors
from support.auditing import audit


@pytest.fixture
def merged(tmp_path):
    def write(**changes):
        folder = tmp_path / "merged"
        folder.mkdir()
        config = {**base_config(), "architectures": ["ColIntern3_5"]}
        (folder / "config.json").write_text(json.dumps(config))
        tensors = {**base_tensors(), **changes}
        kept = {name: values for name, values in tensors.items() if values is not None}
        write_tensors(folder / "model.safetensors", kept)
        return folder

    return write


def test_whole_model_passes(pytester, merged):
    result = audit(pytester, "--checkpoint", merged())
    assert result.outcomes["ADP010"] == result.outcomes["PRJ003"] == "passed", result.output
    # No processor is written, and the base that was merged into has no tower.
    assert result.of_outcome("failed", "error") == ["ADP023", "PRC001"]


def test_nan_in_a_merged_model_fails(pytester, merged):
    embeddings = np.full((64, 64), np.nan, np.float32)
    folder = merged(**{"language_model.embed_tokens.weight": embeddings})
    result = audit(pytester, "--checkpoint", folder)
    assert result.of_outcome("failed") == ["ADP010", "ADP023", "PRC001"]
    assert result.exit_code == 1


def test_merged_model_without_projection_fails(pytester, merged):
    folder = merged(**{f"{PROJECTION}.weight": None, f"{PROJECTION}.bias": None})
    result = audit(pytester, "--checkpoint", folder)
    assert result.of_outcome("failed") == ["PRC001", "PRJ003"]
    assert result.exit_code == 1


def test_projection_by_another_name_is_no_evidence(pytester, merged):
    matrix = np.ones((128, 64), np.float32)
    other = {"embedding_proj_layer.weight": matrix}
    folder = merged(**{f"{PROJECTION}.weight": None, f"{PROJECTION}.bias": None}, **other)
    assert audit(pytester, "--checkpoint", folder).outcomes["PRJ003"] == "no_evidence"


def test_adapter_configuration_without_weights_fails(pytester, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    write_adapter(run)
    (run / "adapter_model.safetensors").unlink()
    result = audit(pytester, "--checkpoint", run)
    assert result.of_outcome("failed") == ["SEC003"]
    assert "no weights" in result.check("SEC003")["observed"]
    assert result.exit_code == 1


@pytest.mark.parametrize("architecture", ["InternVLForConditionalGeneration", "ColIntern3_5"])
def test_configuration_alone_is_inconclusive(pytester, tmp_path, architecture):
    folder = tmp_path / "model"
    folder.mkdir()
    document = {**base_config(), "architectures": [architecture]}
    (folder / "config.json").write_text(json.dumps(document))
    found = audit(pytester, f"--checkpoint={folder}")
    assert found.document["verdict"] == "inconclusive"
    assert found.of_outcome("failed", "warned", "blocked", "error") == []
    assert "adapter_model.safetensors or model.safetensors" in found.output
