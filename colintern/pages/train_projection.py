"""The projection of the tiny base: drawn from a seed, then whitened.

Shape letters: N tokens, H hidden size.
"""

from typing import Any, Final

import torch
from PIL import Image
from transformers import InternVLModel

from colintern.model.modeling import ColIntern3_5
from colintern.model.processing import ColIntern3_5Processor
from colintern.pages.world import training_pairs

WHITENING_PAIRS: Final = 256
_LEAST_VARIANCE: Final = 0.01
"""Share of the mean variance below which a direction is not stretched further."""


def hidden_states(base: ColIntern3_5, features: Any) -> torch.Tensor:
    """Return the last hidden states of all real tokens, as (tokens, hidden size)."""
    with torch.inference_mode():
        mask = features["attention_mask"]
        output = InternVLModel.forward(base, **features, use_cache=False, return_dict=True)
    return output.last_hidden_state[mask.bool()].clone()


def whiten_projection(base: ColIntern3_5, processor: ColIntern3_5Processor) -> None:
    """Turn the seeded projection into one whose embeddings are centred and of equal variance.

    A few directions hold most of the variance of the hidden states, and none of the words: with a
    plain random projection all embeddings look alike, and the first thing that training does is to
    make them equal. It knows the training pages only, and not which query belongs to which.
    """
    pairs = training_pairs(WHITENING_PAIRS)
    images = [Image.fromarray(pair.page.pixels()) for pair in pairs]
    pages_NH = hidden_states(base, processor.process_images(images))  # noqa: N806
    queries_NH = hidden_states(base, processor.process_queries([pair.query for pair in pairs]))  # noqa: N806
    mean_H = (pages_NH.mean(0) + queries_NH.mean(0)) / 2  # noqa: N806
    covariance = (torch.cov(pages_NH.T) + torch.cov(queries_NH.T)) / 2
    variances, directions = torch.linalg.eigh(covariance)
    variances = variances.clamp_min(_LEAST_VARIANCE * variances.mean())
    projection = base.custom_text_proj
    with torch.no_grad():
        whitening = (directions * variances.rsqrt()) @ directions.T
        projection.weight.copy_(projection.weight @ whitening)
        projection.bias.copy_(-projection.weight @ mean_H)
