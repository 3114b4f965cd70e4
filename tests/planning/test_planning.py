import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from colintern.artifacts.model.base_model import TINY_BASE, bundled_base
from colintern.cli import main
from colintern.planning.architecture import find_architecture
from colintern.planning.duration import durations
from colintern.planning.hyperparameters import propose, reasons, steps_of_epoch, warmup_for
from colintern.planning.machine import parse_gpus
from colintern.planning.memory import GIBIBYTE, StepSettings, largest_batch, memory_use
from colintern.planning.output import proposal_table
from colintern.recipes.named import tiny

MODELS = ("1B", "2B", "4B", "8B")

GUIDE_BLOCK = """\
================================================================================
⚡ OPTIMAL HYPERPARAMETERS
================================================================================
Learning Rate: 5.00e-05
Batch Size: 16
Gradient Accumulation: 4
Effective Batch Size: 64
Number of Epochs: 5
Warmup Steps: 198
LoRA Rank: 32
"""

TABLE = """\
                        16 GB                   24 GB                   32 GB                   40 GB                   80 GB
1B                      8 x 8                   12 x 6                  16 x 4                  24 x 3                  32 x 2
2B                      8 x 8                   12 x 6                  16 x 4                  24 x 3                  32 x 2
4B                      4 x 16                  12 x 6                  16 x 4                  24 x 3                  32 x 2
8B                      no fit, needs 23 GB     2 x 32                  8 x 8                   12 x 6                  32 x 2"""  # noqa: E501 - a table


def internvl(vision=None, **text):
    text = {"model_type": "qwen2", **text}
    return json.dumps({"model_type": "internvl", "text_config": text, "vision_config": vision})


def plan(*options):
    return CliRunner().invoke(main, ["plan", *map(str, options)])


@pytest.mark.parametrize("model", MODELS)
def test_unstable_training_gets_a_lower_rate(model):
    proposal = propose(find_architecture(model), 80 * GIBIBYTE, 127_000)
    calmer = float(reasons(proposal)["Learning Rate"].split("; ")[1].split()[0])
    assert calmer == (2e-5 if model in {"1B", "2B"} else 5e-6)
    assert calmer < proposal.learning_rate


def test_the_guides_block_is_printed_exactly():
    result = plan("--gpu-memory", 32, "--pairs", 127_000)
    assert result.exit_code == 0, result.output
    assert result.output.startswith(GUIDE_BLOCK)
    assert "905,315,328" in result.output
    assert "20,221,952 in 197 modules" in result.output
    assert "118,195 rows where the guide assumes 127,000" in result.output


def test_another_gpu_changes_the_block():
    result = plan("--gpu-memory", 24)
    assert not result.output.startswith(GUIDE_BLOCK)
    assert "Batch Size: 12\nGradient Accumulation: 6\n" in result.output


def test_the_table_has_the_guides_row():
    assert proposal_table() == TABLE
    assert plan("--table").output == TABLE + "\n"


@pytest.mark.parametrize(
    ("model", "rate", "rank"),
    [
        ("1B", 5e-5, 32),
        ("2B", 3e-5, 32),
        ("4B", 1e-5, 64),
        ("8B", 1e-5, 64),
        (TINY_BASE, tiny().learning_rate, 16),
    ],
)
def test_rate_and_rank_follow_the_size(model, rate, rank):
    proposal = propose(find_architecture(model), 80 * GIBIBYTE)
    assert (proposal.learning_rate, proposal.rank) == (rate, rank)


@pytest.mark.parametrize(
    ("pairs", "steps"),
    [(127_000, 198), (118_195, 184), (30_000, 100), (1000, 26), (10**6, 1562)],
)
def test_warmup_stays_between_its_bounds(pairs, steps):
    assert warmup_for(steps_of_epoch(pairs, 16, 4), 5) == steps


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(MODELS),
    st.integers(4, 200),
    st.integers(0, 40),
    st.integers(100, 10**7),
)
def test_proposals_are_monotone_and_fit(model, gigabytes, more, pairs):
    base = find_architecture(model)
    proposal = propose(base, gigabytes * GIBIBYTE, pairs)
    larger = propose(base, (gigabytes + more) * GIBIBYTE, pairs)
    assert larger.batch_size >= proposal.batch_size
    assert larger.chunk_size >= proposal.chunk_size
    assert proposal.needed_bytes == larger.needed_bytes
    assert proposal.fits == (proposal.needed_bytes <= proposal.gpu_bytes)
    if proposal.fits:
        assert proposal.effective_batch_size >= 64
        assert proposal.memory().fits(proposal.gpu_bytes)
        assert 0 < proposal.warmup_steps < proposal.steps / 3


@pytest.mark.parametrize("gigabytes", [16, 24, 32, 40, 80])
def test_a_larger_model_has_no_larger_batch(gigabytes):
    batches = [propose(find_architecture(each), gigabytes * GIBIBYTE).batch_size for each in MODELS]
    assert batches == sorted(batches, reverse=True)


def test_the_largest_batch_is_the_last_that_fits():
    base, size = find_architecture("4B"), 24 * GIBIBYTE
    step = StepSettings(batch_size=1, rank=64, checkpointing=True)
    most = largest_batch(base, step, size, 64)
    fits = [
        memory_use(base, StepSettings(batch_size=batch, rank=64, checkpointing=True)).fits(size)
        for batch in range(1, 20)
    ]
    assert fits == [batch <= most for batch in range(1, 20)]


def test_checkpointing_is_off_where_it_is_not_needed():
    assert propose(find_architecture("1B"), 32 * GIBIBYTE).checkpointing
    assert not propose(find_architecture(TINY_BASE), 80 * GIBIBYTE).checkpointing


def test_json_holds_the_whole_plan():
    document = json.loads(plan("4B", "--gpu-memory", 24, "--json").output)
    assert document["schema"] == "colintern.plan/1"
    assert document["hyperparameters"]["per_device_train_batch_size"] == 12
    chosen = document["memory_bytes"]["chosen"]
    assert chosen == document["memory_bytes"]["with_checkpointing"]
    assert chosen["total"] < 0.9 * 24 * GIBIBYTE
    assert document["in_batch_negatives"] == {"batch": 11, "cached_batch": 63}


def test_a_model_that_does_not_fit_says_what_it_needs():
    result = plan("8B", "--gpu-memory", 16)
    assert (result.exit_code, "needs 23 GB" in result.output) == (1, True)
    document = json.loads(plan("8B", "--gpu-memory", 16, "--json").output)
    assert (document["fits"], document["hyperparameters"], document["needs_gigabytes"]) == (
        False,
        None,
        23,
    )
    assert plan("8B", "--gpu-memory", 23).exit_code == 0


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (None, "folder with a config.json"),
        ("", "must have the config.json of a base model, but it has none; name the folder"),
        ("{", "config.json"),
        ('{"model_type": "qwen2_vl"}', "InternVL with a Qwen"),
        (internvl(num_hidden_layers=0), "layers, but this one has none"),
        (internvl(num_attention_heads=900, head_dim=0, hidden_size=64), "must"),
        (internvl({"num_hidden_layers": 0}), "tower must have layers"),
    ],
)
def test_a_base_that_cannot_be_planned_is_one_clear_error(tmp_path, config, message):
    folder = tmp_path / "base"
    if config is not None:
        folder.mkdir()
    if config:
        (folder / "config.json").write_text(config)
    result = plan(folder)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output


def test_an_adapter_is_not_taken_for_its_base(tmp_path):
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "it is an adapter: name its base" in " ".join(plan(tmp_path).output.split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--gpu-memory", "nan"), "must be a number of GB"),
        (("--gpu-memory", "-4"), "not in the range"),
        (("--gpu-memory", "inf"), "not in the range"),
        (("--pairs", "1"), "not in the range"),
        (("",), "it is empty"),
        (("--table", "--json"), "choose one"),
        (("OpenGVLab/InternVL3_5-1B",), "did you mean OpenGVLab/InternVL3_5-1B-HF?"),
        (("InternVL3.5-4B",), "did you mean OpenGVLab/InternVL3_5-4B-HF"),
        (("tiny-base",), "did you mean colintern/tiny-base?"),
        (("vidore/colqwen2-v1.0",), "fetch the model first"),
        (("~nobody-here/base",), "fetch the model first"),
        (("x" * 5000,), "fetch the model first"),
        (("a\0b",), "fetch the model first"),
    ],
)
def test_a_mistake_is_one_usage_error(options, message):
    result = plan(*options)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.output.split())
    assert isinstance(result.exception, SystemExit)


def test_every_part_of_the_memory_is_counted():
    use = propose(find_architecture("1B"), 32 * GIBIBYTE).memory()
    trained, tiles, page, query, hidden = 20_221_952, 6, 6 * 256 + 12, 40, 1024
    assert use.weights == 2 * (905_315_328 + 131_200)
    assert (use.adapters, use.gradients, use.optimiser) == (4 * trained, 4 * trained, 8 * trained)
    assert use.images == 16 * tiles * 3 * 448 * 448 * 4
    assert use.scores == 3 * 2 * 16 * query * 16 * page
    assert use.workspace == 16 * page * ((3 * 2 + 2 * 4) * 3072 + 2 * (2 + 4) * hidden)
    vision = 16 * tiles * (1025 * ((2 * 2 + 4) * 1024 + 2 * 2 * 4096) + 2 * 3 * 448 * 448)
    assert (use.vision, use.reserve, use.embeddings) == (vision, 768 * 2**20, 0)
    backward = use.activations + use.recomputed + use.scores + use.workspace
    assert use.total == use.fixed + use.images + max(backward, vision)
    cached = propose(find_architecture("1B"), 32 * GIBIBYTE).memory(cached=True)
    vectors = 2 * 2 * 64 * (page + query) * 128
    assert cached.embeddings == vectors + 2 * 64 * tiles * 256 * hidden


def test_the_vision_tower_may_be_the_peak():
    base = find_architecture("1B")
    step = StepSettings(batch_size=1, rank=1, checkpointing=True, query_tokens=1)
    use = memory_use(base, step)
    larger = replace(use, vision=10 * use.total)
    assert larger.total == larger.fixed + larger.images + larger.vision


def test_time_follows_the_guide_and_the_work():
    base = find_architecture("1B")
    guide = propose(base, 32 * GIBIBYTE)
    shown = [(each.gpu, each.shortest, each.longest) for each in durations(guide)]
    assert shown == [
        ("RTX 5090", pytest.approx(30), pytest.approx(40)),
        ("A100 40GB", pytest.approx(20), pytest.approx(25)),
        ("A100 80GB", pytest.approx(15), pytest.approx(20)),
    ]
    assert durations(guide)[0].utilisation == pytest.approx((0.2316, 0.3088), abs=0.0005)
    half = durations(propose(base, 32 * GIBIBYTE, 63_500))
    assert half[0].shortest == pytest.approx(15)
    # One forward pass more, of three: the frozen vision tower is not run again.
    assert 30 * 1.05 < durations(guide, cached=True)[0].shortest < 40
    assert durations(propose(find_architecture("4B"), 32 * GIBIBYTE))[0].shortest > 60


@pytest.mark.parametrize(
    ("gigabytes", "reason"),
    [
        (8, "half of the guide's for 16 GB, its least; 8 GB is below it"),
        (31.8, "the guide's for 32 GB"),
        (32, "the guide's for 32 GB"),
    ],
)
def test_the_batch_has_its_true_reason(gigabytes, reason):
    assert f"Batch Size             {reason}\n" in plan("--gpu-memory", gigabytes).output


def test_a_card_below_its_name_is_that_card():
    assert "Batch Size: 16\n" in plan("--gpu-memory", 31.8).output
    assert "Batch Size: 12\n" in plan("--gpu-memory", 31.4).output


def test_data_of_less_than_a_step_is_said_so():
    assert "cannot train a retriever" in plan("--pairs", 20).output
    assert "cannot train a retriever" not in plan("--pairs", 64).output


def test_a_base_in_this_folder_names_no_hidden_run(monkeypatch):
    folder = Path(bundled_base(TINY_BASE))
    monkeypatch.chdir(folder)
    assert "--output-dir runs/run --base . " in plan(".", "--gpu-memory", 24).output


def test_a_driver_listing_is_read():
    listing = "NVIDIA A100, 40GB, 40960, 12, 550.54, 8.0\nbroken row\nT4, [N/A], 0, 5, 7.5\n"
    (gpu,) = parse_gpus(listing)
    assert (gpu.name, gpu.memory_bytes, gpu.capability) == (
        "NVIDIA A100, 40GB",
        40 * GIBIBYTE,
        (8, 0),
    )


def test_planning_imports_no_torch():
    script = (
        "import sys\nfrom colintern.cli import main\n"
        "try:\n    main(['plan', '--gpu-memory', '32'])\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'transformers', 'peft', 'pytest'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)


@pytest.mark.parametrize("key", ["command", "cached_command"])
def test_the_command_is_one_that_train_takes(key):
    pytest.importorskip("torch")
    pytest.importorskip("colpali_engine")
    document = json.loads(plan("4B", "--gpu-memory", 24, "--json").output)
    words = shlex.split(document[key])
    assert words[:2] == ["colintern", "train"]
    result = CliRunner().invoke(main, [*words[1:], "--dry-run"])
    assert result.exit_code == 0, result.output
    trained = document["parameters"]["lora"]
    assert f"{trained:,} of" in result.output
    batch = "64 a device x 1" if key == "cached_command" else "12 a device x 6"
    assert batch in result.output
