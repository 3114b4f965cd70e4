import json

import pytest

pytest.importorskip("transformers")

from colintern.recipes.best import apply_best, read_best
from colintern.recipes.named import guide_1b
from colintern.recipes.overrides import parsed_arguments, with_arguments
from colintern.recipes.params import ParamsError, with_params


def test_both_spellings_of_a_flag_are_one():
    hyphens = parsed_arguments(["--num-train-epochs", "1", "--eval-strategy", "no", "--bf16"])
    underscores = parsed_arguments(["--num_train_epochs=1", "--eval_strategy", "no", "--bf16"])
    assert hyphens == underscores == {"num_train_epochs": 1.0, "eval_strategy": "no", "bf16": True}
    recipe = with_arguments(guide_1b(), hyphens)
    assert (recipe.num_train_epochs, recipe.eval_steps) == (1.0, None)
    assert recipe.arguments["bf16"] is True
    assert recipe.arguments["dataloader_num_workers"] == 4


def test_parameters_reach_their_places():
    params = {
        "learning_rate": 1e-4,
        "lora.rank": 8,
        "warmup_ratio": 0.1,
        "per_device_train_batch_size": 24,
        "adam_beta2": 0.95,
        "lr_scheduler_type": "cosine",
    }
    recipe = with_params(guide_1b(), params)
    assert (recipe.learning_rate, recipe.lora.rank, recipe.lora.alpha) == (1e-4, 8, 8)
    assert (recipe.per_device_train_batch_size, recipe.gradient_accumulation_steps) == (24, 3)
    assert recipe.lr_scheduler_type == "cosine"
    assert recipe.arguments["warmup_steps"] == 0.1
    assert recipe.arguments["adam_beta2"] == 0.95
    kept = with_params(guide_1b(), {"lora.rank": 8, "lora.alpha": 64})
    assert (kept.lora.rank, kept.lora.alpha) == (8, 64)


GOOD = {"schema": "colintern.params/1", "params": {"learning_rate": 1e-3}, "recipe": "tiny"}
PARAMS = {
    "unknown key": (GOOD | {"parms": {}}, "no key is called 'parms'; did you mean params"),
    "no params": ({"schema": "colintern.params/1", "recipe": "tiny"}, "must have the key 'params'"),
    "other schema": (GOOD | {"schema": "colintern.audit/1"}, "schema must be 'colintern.params/1'"),
    "list": (GOOD | {"params": [1]}, "Expected `object`, got `array`"),
    "nested": (GOOD | {"params": {"learning_rate": {}}}, "params"),
    "unknown name": (GOOD | {"params": {"learning_rat": 1}}, "did you mean learning_rate"),
    "word": (GOOD | {"params": {"learning_rate": "high"}}, "learning_rate must be a number"),
    "rank": (GOOD | {"params": {"lora.rank": 0}}, "lora.rank must be at least 1"),
    "recipe": (GOOD | {"recipe": "tny"}, "did you mean tiny"),
}


@pytest.mark.parametrize("name", PARAMS)
def test_parameters_that_cannot_be_trained_are_one_error(tmp_path, name):
    content, message = PARAMS[name]
    path = tmp_path / "optuna_best_params.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ParamsError) as error:
        apply_best(read_best(path), None, path)
    assert message in str(error.value)
    assert str(error.value).startswith(str(path))
