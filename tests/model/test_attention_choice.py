import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from builders.tiny_model import write_base  # noqa: E402 - after the skip
from support.short_run import recipe_of  # noqa: E402 - after the skip
from transformers import TrainerCallback  # noqa: E402 - after the skip

from colintern.artifacts.run.manifest import read_run_manifest  # noqa: E402 - after the skip
from colintern.model.loading import choose_attention, load_checkpoint  # noqa: E402 - after the skip
from colintern.training.run import train  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]


@pytest.mark.parametrize(
    ("device", "capability", "installed", "expected"),
    [
        ("cuda", (8, 0), True, "flash_attention_2"),
        ("cuda", (9, 0), True, "flash_attention_2"),
        ("cuda", (7, 5), True, "sdpa"),
        ("cuda", (9, 0), False, "sdpa"),
        ("cpu", (9, 0), True, "sdpa"),
    ],
)
def test_flash_attention_is_taken_where_it_runs(
    monkeypatch, device, capability, installed, expected
):
    monkeypatch.setattr("torch.cuda.get_device_capability", lambda _: capability)
    monkeypatch.setattr("colintern.model.loading.is_flash_attn_2_available", lambda: installed)
    assert choose_attention(torch.device(device)) == expected


class SeenAttention(TrainerCallback):
    def on_train_begin(self, *_, **more):
        self.found = more["model"].get_base_model().config._attn_implementation


def test_the_choice_is_what_trains_and_loads_and_is_recorded(tmp_path, monkeypatch):
    for module in ("colintern.training.adapted_model", "colintern.model.loading"):
        monkeypatch.setattr(f"{module}.choose_attention", lambda _: "eager")
    seen, run = SeenAttention(), tmp_path / "run"
    recipe = recipe_of(
        write_base(tmp_path / "base"),
        data=None,
        train_pairs=8,
        eval_steps=None,
        num_train_epochs=1,
        warmup_steps=1,
    )
    assert train(recipe, run, callbacks=[seen])
    assert seen.found == "eager"
    manifest = read_run_manifest(run / "colintern_run.json", None)
    assert manifest.hardware.attention == "eager"
    loaded = load_checkpoint(run)
    assert loaded.attention == loaded.model.get_base_model().config._attn_implementation == "eager"
