"""The recipes by name: each a function that returns one frozen object."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from colintern.artifacts.model.base_model import TINY_BASE
from colintern.families.colintern import COLINTERN, COLINTERN_TINY
from colintern.recipes.overrides import OverrideError, close_names
from colintern.recipes.recipe import DataSettings, Recipe
from colintern.recipes.targets import GUIDE_TARGETS, LoraSettings, one_expression

_LANGUAGE_TARGETS: Final = GUIDE_TARGETS[:-1]
"""The guide's targets but the projection, which is trained whole."""


def tiny() -> Recipe:
    """Train the tiny model on generated pages as it should be: one or two minutes on a CPU."""
    return Recipe(
        name="tiny",
        family=COLINTERN_TINY.name,
        base=TINY_BASE,
        lora=LoraSettings(
            rank=16,
            alpha=16,
            dropout=0.1,
            target_modules=one_expression(_LANGUAGE_TARGETS),
            projection="full",
        ),
        learning_rate=2e-3,
        num_train_epochs=5,
        per_device_train_batch_size=64,
        warmup_steps=100,
        temperature=0.05,
        train_pairs=6400,
        eval_pairs=256,
        eval_steps=100,
        save_steps=250,
    )


def guide_as_written() -> Recipe:
    """`tiny` with the guide's list of globs, which reaches the projection and no layer."""
    settings = tiny()
    return replace(
        settings,
        name="guide_as_written",
        lora=replace(
            settings.lora, target_modules=GUIDE_TARGETS, projection="lora", tolerate_unmatched=True
        ),
    )


def poor_settings() -> Recipe:
    """`tiny` with what the guide calls poor settings: one epoch, a batch of two, no evaluation."""
    return replace(
        tiny(),
        name="poor_settings",
        num_train_epochs=1,
        per_device_train_batch_size=2,
        eval_steps=None,
    )


def guide_1b() -> Recipe:
    """Every number of the training guide, for InternVL3.5-1B."""
    return Recipe(
        name="guide_1b",
        family=COLINTERN.name,
        base="OpenGVLab/InternVL3_5-1B-HF",
        lora=LoraSettings(
            rank=32, alpha=32, dropout=0.1, target_modules=one_expression(GUIDE_TARGETS)
        ),
        learning_rate=5e-5,
        num_train_epochs=5,
        per_device_train_batch_size=16,
        gradient_accumulation_steps=4,
        warmup_steps=100,
        data=DataSettings(source="vidore/colpali_train_set", eval_split="test", eval_rows=500),
        train_pairs=118_195,
        eval_pairs=500,
        eval_steps=100,
        save_steps=500,
        max_num_visual_tokens=1536,
        arguments={
            "gradient_checkpointing": True,
            "gradient_checkpointing_kwargs": {"use_reentrant": False},
            "dataloader_num_workers": 4,
        },
    )


def guide_2b() -> Recipe:
    """`guide_1b` for InternVL3.5-2B: the guide's rate and rank for its size."""
    return replace(
        guide_1b(), name="guide_2b", base="OpenGVLab/InternVL3_5-2B-HF", learning_rate=3e-5
    )


def guide_4b() -> Recipe:
    """`guide_1b` for InternVL3.5-4B: the guide's rate and rank for its size."""
    settings = guide_1b()
    return replace(
        settings,
        name="guide_4b",
        base="OpenGVLab/InternVL3_5-4B-HF",
        learning_rate=1e-5,
        lora=replace(settings.lora, rank=64, alpha=64),
    )


RECIPES: Final[dict[str, Callable[[], Recipe]]] = {
    recipe.__name__: recipe
    for recipe in (guide_1b, guide_2b, guide_4b, tiny, guide_as_written, poor_settings)
}
"""Every recipe by name; the first of a family is the one that a report recommends."""


def recipe_of(family: str | None) -> str | None:
    """Return the name of the recipe to train `family` with; None where there is none."""
    return next((name for name, recipe in RECIPES.items() if recipe().family == family), None)


def recipe_named(name: str) -> Recipe:
    """Return the recipe `name`.

    Raises:
        OverrideError: there is none; the message has close names.
    """
    if name not in RECIPES:
        raise OverrideError(f"no recipe is called {name!r}{close_names(name, RECIPES)}")
    return RECIPES[name]()
