"""Where the training pairs come from. Free of torch."""

from dataclasses import dataclass
from typing import Final, Literal

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
