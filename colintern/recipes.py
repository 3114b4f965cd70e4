"""Complete named configurations, each a function that returns one frozen object. Free of torch.

Variants are made with `dataclasses.replace`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from colintern.artifacts.model.base_model import TINY_BASE
from colintern.families.colintern import COLINTERN, COLINTERN_TINY
from colintern.model.targets import GUIDE_TARGETS, LoraSettings, one_expression

PAGES: Final = "colintern/pages"
"""The generated pages of this project; made, not read."""


class DataError(ValueError):
    """Training data that cannot be used, with what to do about it."""


class BadRowError(RuntimeError):
    """A bad row that a run met while it trained."""


@dataclass(frozen=True, kw_only=True)
class DataSettings:
    """A dataset in the form of `vidore/colpali_train_set`: a query and the page that answers it."""

    source: str
    """Hub id, folder of `datasets`, parquet file, or folder of images with a JSONL of queries."""
    config: str | None = None
    """Configuration, where a dataset has several."""
    split: str = "train"
    eval_split: str | None = None
    """Split for the evaluation loss; None holds `eval_rows` of the training split out."""
    eval_rows: int = 0
    """Rows for the evaluation loss; no page of theirs is trained on. 0: no evaluation."""
    revision: str | None = None
    """Commit of a Hub dataset."""
    query_column: str = "query"
    page_column: str = "image"
    negatives_column: str | None = None
    """Column with a list of pages that do not answer the query; None: in-batch negatives only."""
    num_negatives: int | None = None
    """Hard negatives of every row, repeated where it has fewer; None: as the row with fewest."""
    on_bad_row: Literal["skip", "fail"] = "fail"
    """What to do about an empty query or a page that is no image."""
    download: bool = False
    """Fetch a Hub dataset that is not in the local cache."""
    seed: int = 0
    """Chooses the rows that are held out."""


_LANGUAGE_TARGETS: Final = GUIDE_TARGETS[:-1]
"""The guide's targets but the projection, which is trained whole."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a training run. Field names are Trainer's where Trainer has them."""

    name: str
    family: str
    """Name of the retriever family."""
    base: str
    """Folder, Hub id, or `colintern/tiny-base`."""
    lora: LoraSettings
    learning_rate: float
    num_train_epochs: float
    per_device_train_batch_size: int
    gradient_accumulation_steps: int = 1
    warmup_steps: int
    lr_scheduler_type: Literal["linear", "cosine"] = "linear"
    max_grad_norm: float = 1.0
    weight_decay: float = 0.0
    temperature: float = 0.02
    """Divisor of the scores in the loss; colpali-engine's default."""
    normalize_scores: bool = True
    """Divide a score by the number of query tokens; colpali-engine's default."""
    data: DataSettings | None = None
    """Where the pairs come from; None: generated pages."""
    train_pairs: int
    """Pairs to train on: of the generated pages, or as many as the data is known to have."""
    eval_pairs: int
    """Unseen pairs for the evaluation loss."""
    eval_steps: int | None
    """Optimiser steps between two evaluations; None switches evaluation off."""
    save_steps: int
    """Optimiser steps between two checkpoints."""
    save_total_limit: int = 2
    logging_steps: int = 10
    seed: int = 0
    chunk_size: int | None = None
    """Pages embedded with a graph at a time; the batch is then cached. None: all at once."""
    max_num_visual_tokens: int | None = None
    """Budget of a page, thumbnail included; None: as saved with the base."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """More of TrainingArguments, under its names."""

    @property
    def effective_batch_size(self) -> int:
        """Queries an optimiser step of one process."""
        return self.per_device_train_batch_size * self.gradient_accumulation_steps


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
