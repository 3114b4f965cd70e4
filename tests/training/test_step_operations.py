import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("colpali_engine")

from builders.tiny_model import write_base  # noqa: E402 - after the skip
from builders.training_pairs import write_image_folder  # noqa: E402 - after the skip
from support.short_run import recipe_of  # noqa: E402 - after the skip
from transformers import Trainer  # noqa: E402 - after the skip

from colintern.training.run import train  # noqa: E402 - after the skip
from colintern.training.step_record import StepOperations  # noqa: E402 - after the skip
from colintern.training.trainer import ColInternTrainer  # noqa: E402 - after the skip

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]


def test_operations_of_each_step_are_those_of_transformers(tmp_path, monkeypatch):
    write_base(tmp_path / "base")
    write_image_folder(tmp_path / "pages", 28, pages=14)
    ours, theirs, counted = [], [], []
    count, count_all = ColInternTrainer.floating_point_ops, StepOperations.__init__

    def both(self, inputs):
        ours.append(count(self, inputs))
        theirs.append(Trainer.floating_point_ops(self, inputs))
        return ours[-1]

    def noted(self, model, counting):
        count_all(self, model, lambda inputs: counted.append(1) or counting(inputs))

    monkeypatch.setattr(ColInternTrainer, "floating_point_ops", both)
    monkeypatch.setattr(StepOperations, "__init__", noted)
    recipe = recipe_of(tmp_path / "base", eval_steps=None, num_train_epochs=1)
    assert train(recipe, tmp_path / "run")
    assert ours == theirs
    assert min(ours) > 0
    assert len(ours) > len(counted) == 1


class Batch:
    """A model whose main input is known, and the Trainer's way to count."""

    main_input_name = "pixels"

    @staticmethod
    def count(inputs):
        return 6 * 1000 * inputs["pixels"].numel() if "pixels" in inputs else 0


@pytest.mark.parametrize("sizes", [(4, 6), (0, 4), (6, 0)])
def test_operations_grow_with_the_batch(sizes):
    operations = StepOperations(Batch, Batch.count)
    for size in sizes:
        assert operations.of({"pixels": torch.zeros(size)}) == 6000 * size


def test_a_batch_without_the_main_input_counts_nothing():
    operations = StepOperations(Batch, Batch.count)
    assert operations.of({"input_ids": torch.zeros(3)}) == 0
    assert operations.of({"pixels": torch.zeros(3)}) == 18_000
