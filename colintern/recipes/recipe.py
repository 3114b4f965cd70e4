"""A recipe: everything that decides a training run, as one frozen object.

Variants are made with `dataclasses.replace`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from colintern.recipes.targets import LoraSettings


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


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides a training run. Field names are Trainer's where Trainer has them."""

    name: str
    family: str
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
