"""What a class of colpali-engine needs so that transformers 5 runs it as it was trained.

A family's entry says which of these it needs.
"""

from typing import Any

import torch
from torch import nn

from colintern.diagnostics.weights.tensor_names import is_dropped
from colintern.families.family import Family


def tie_output_layer(family: Family, model: Any) -> None:
    """Give an output layer without weights those of the input embedding.

    ColPali computes it at each pass and never uses it. Its bases need not hold it, and its own
    tying leaves it out: transformers 5 keeps it without memory, and the model cannot be moved.
    """
    if "output layer" not in family.repairs:
        return
    embedding: nn.Parameter = model.get_input_embeddings().weight
    for name, parameter in list(model.named_parameters()):
        if parameter.is_meta and is_dropped(name) and parameter.shape == embedding.shape:
            owner, _, last = name.rpartition(".")
            setattr(model.get_submodule(owner), last, embedding)


def with_prefix_attention(family: Family, features: Any) -> Any:
    """Have every token of a query attend to all others, whatever batch it is in.

    Without `token_type_ids`, which the processor leaves out for queries, transformers 5.23 does so
    for a query alone and looks only backwards in a padded batch.
    """
    if "prefix attention" in family.repairs and "token_type_ids" not in features:
        features["token_type_ids"] = torch.zeros_like(features["input_ids"])
    return features
