"""The MTEB model: what `mteb.evaluate` asks for embeddings and scores."""

from pathlib import Path
from typing import Any

import torch
from mteb.models.abs_encoder import AbsEncoder
from mteb.types import PromptType
from torch import nn
from tqdm.auto import tqdm

from colintern.evaluation.checkpoint import find_checkpoint
from colintern.evaluation.maxsim import maxsim_scores
from colintern.evaluation.model_meta import model_meta_of
from colintern.evaluation.retriever import Retriever, load_retriever


class ColIntern3_5Wrapper(AbsEncoder):  # noqa: N801 - the guide's name
    """A checkpoint of ColIntern3.5, or of any family of colpali-engine, as an MTEB model.

    `ColIntern3_5Wrapper('runs/a').mdl.custom_text_proj` is the trained projection, merged.
    """

    def __init__(
        self,
        model_name: str | Path | Retriever,
        revision: str | None = None,
        device: str | None = None,
        **options: Any,
    ) -> None:
        """Load a checkpoint.

        Args:
            model_name: a run, checkpoint, adapter or merged model folder, a Hub id, `demo`, or a
                retriever that is loaded already.
            revision: ignored; the weights themselves are the revision.
            device: by default a GPU when there is one.
            options: `base` and `family`, as `find_checkpoint` takes them; `dtype`.

        Raises:
            CheckpointError: it is not there, or cannot be loaded whole.
        """
        del revision
        if isinstance(model_name, Retriever):
            self.retriever = model_name
        else:
            checkpoint = find_checkpoint(
                str(model_name), base=options.get("base"), family=options.get("family")
            )
            dtype = options.get("dtype")
            self.retriever = load_retriever(checkpoint, device=device, dtype=dtype)
        self.mteb_model_meta = model_meta_of(self.retriever, type(self))

    @property
    def mdl(self) -> nn.Module:
        """The merged model, under the name that MTEB's wrappers give it."""
        return self.retriever.model

    @property
    def processor(self) -> Any:
        """The processor."""
        return self.retriever.processor

    def encode(
        self,
        inputs: Any,
        *,
        prompt_type: PromptType | None = None,
        show_progress_bar: bool = True,
        **_: Any,
    ) -> list[torch.Tensor]:
        """Embed queries, or pages, each (tokens, dimension) without padding.

        A page that has text beside its image is embedded by its image.
        """
        embeddings: list[torch.Tensor] = []
        what = "queries" if prompt_type == PromptType.query else "pages"
        for batch in tqdm(inputs, desc=f"Embedding {what}", disable=not show_progress_bar):
            if "image" in batch and prompt_type != PromptType.query:
                found = self.retriever.embed_pages(batch["image"])
            else:
                found = self.retriever.embed_queries(batch["text"])
            embeddings += [vectors.cpu() for vectors in found]
        return embeddings

    def similarity(
        self, embeddings1: list[torch.Tensor], embeddings2: list[torch.Tensor]
    ) -> torch.Tensor:
        """Return the MaxSim score of every query with every page."""
        return maxsim_scores(embeddings1, embeddings2, self.retriever.device)
