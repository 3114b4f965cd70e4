from dataclasses import replace

import pytest

from colintern.recipes.named import RECIPES, guide_as_written, poor_settings, recipe_named, tiny
from colintern.recipes.overrides import OverrideError, with_settings


def test_recipes_differ_by_what_they_show():
    healthy, as_written, poor = tiny(), guide_as_written(), poor_settings()
    assert replace(as_written, name=healthy.name, lora=healthy.lora) == healthy
    assert (
        replace(
            poor,
            name=healthy.name,
            num_train_epochs=healthy.num_train_epochs,
            per_device_train_batch_size=healthy.per_device_train_batch_size,
            eval_steps=healthy.eval_steps,
        )
        == healthy
    )
    assert set(RECIPES) >= {"tiny", "guide_as_written", "poor_settings"}
    assert healthy.effective_batch_size >= 64


def test_settings_reach_inside_and_keep_their_types():
    recipe = with_settings(
        tiny(), ["lora.rank=8", "temperature=0.1", "eval_steps=none", "data.source=./pages"]
    )
    assert (recipe.lora.rank, recipe.temperature, recipe.eval_steps) == (8, 0.1, None)
    assert recipe.data.source == "./pages"


def test_an_unknown_recipe_is_an_error_of_its_own():
    with pytest.raises(OverrideError, match="did you mean tiny"):
        recipe_named("tinny")
