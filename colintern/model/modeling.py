"""ColIntern3.5: InternVL without a language modelling head, plus a projection to multi-vectors.

Shape letters: B batch, N tokens, H hidden size, D embedding dimension, T tiles of all pages.
"""

from typing import Any, ClassVar, Final

import torch
from torch import nn
from torch.nn import functional
from transformers import InternVLConfig, InternVLModel

EMBEDDING_DIM: Final = 128
"""Width of a multi-vector; `dim` in the config overrides it."""

_NORM_EPSILON: Final = 1e-12
"""Keeps a zero vector zero. The norm is taken in float32, where it is not rounded away."""


_KEY_LAYOUTS: Final = {
    r"^(?:model\.)?language_model\.lm_head": "lm_head",
    r"^(?:model\.)?language_model\.(?:model\.)?": "language_model.",
    r"^model\.(vision_tower|multi_modal_projector)": r"\1",
}
"""transformers renames the keys of its own classes only: the Hub's InternVL with its output layer
(`language_model.model.layers`) and that of transformers 4.52 to 4.57 (`model.language_model`) would
be loaded without their language model, in silence."""


class ColIntern3_5(InternVLModel):  # noqa: N801 - the model's published name
    """Embeds pages and queries as one unit vector a token; padding is exactly zero."""

    main_input_name: ClassVar[str] = "doc_input_ids"
    """What the Trainer counts tokens by, in a batch of colpali-engine's collator."""

    def __init__(self, config: InternVLConfig, *, mask_non_image_embeddings: bool = False) -> None:
        """Build the model that `config` describes.

        Args:
            config: of any InternVL; `dim` in it is the width of an embedding.
            mask_non_image_embeddings: keep only the visual tokens of a page.
        """
        config.dim = getattr(config, "dim", EMBEDDING_DIM)
        super().__init__(config)
        self.mask_non_image_embeddings = mask_non_image_embeddings
        self.padding_side = "left"
        self.custom_text_proj = nn.Linear(config.text_config.hidden_size, config.dim)
        self.post_init()

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """Load as transformers does, whichever of InternVL's key layouts the checkpoint has."""
        kwargs.setdefault("key_mapping", _KEY_LAYOUTS)
        return super().from_pretrained(*args, **kwargs)

    def save_pretrained(self, *args: Any, **kwargs: Any) -> None:
        """Save as transformers does, under the names of this class's own modules."""
        # It would turn the renaming of `from_pretrained` round, which has no inverse.
        kwargs.setdefault("save_original_format", False)
        super().save_pretrained(*args, **kwargs)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        **_: Any,
    ) -> torch.Tensor:
        """Embed queries, or pages.

        Args:
            input_ids: (B, N), padded on the left.
            attention_mask: (B, N), 1 where a token is not padding; None: nothing is padding.
            pixel_values: (T, 3, height, width), the tiles of all pages in order.

        Returns:
            (B, N, D) vectors of length 1, or 0 where the token is masked.
        """
        mask_BN = torch.ones_like(input_ids) if attention_mask is None else attention_mask  # noqa: N806
        hidden_BNH = (  # noqa: N806
            super()
            .forward(
                input_ids=input_ids,
                attention_mask=mask_BN,
                # Counted from the first real token, so that batch mates do not shift the phases.
                position_ids=(mask_BN.long().cumsum(-1) - 1).clamp_min(0),
                pixel_values=pixel_values,
                use_cache=False,
                return_dict=True,
            )
            .last_hidden_state
        )
        keep_BN = mask_BN.bool()  # noqa: N806
        if pixel_values is not None and self.mask_non_image_embeddings:
            keep_BN = keep_BN & (input_ids == self.config.image_token_id)  # noqa: N806
        return unit_vectors(self.custom_text_proj(hidden_BNH), keep_BN)

    @property
    def patch_size(self) -> int:
        """Pixels of one side of a vision patch."""
        return int(self.config.vision_config.patch_size[0])


def unit_vectors(vectors_BND: torch.Tensor, keep_BN: torch.Tensor) -> torch.Tensor:  # noqa: N803
    """Scale (B, N, D) vectors to length 1, and rows that (B, N) `keep_BN` drops to exactly 0.

    A zero vector stays zero, and a masked row is zero even where the vector is not finite.
    """
    unit = functional.normalize(vectors_BND.float(), dim=-1, eps=_NORM_EPSILON)
    return unit.masked_fill(~keep_BN.unsqueeze(-1), 0.0).to(vectors_BND.dtype)


def initialise_projection(model: ColIntern3_5, *, seed: int) -> None:
    """Draw the projection from `seed`: a base that is saved must hold what is trained upon."""
    generator = torch.Generator().manual_seed(seed)
    projection = model.custom_text_proj
    std = projection.in_features**-0.5
    with torch.no_grad():
        weight = torch.randn(projection.weight.shape, generator=generator) * std
        projection.weight.copy_(weight)
        projection.bias.zero_()
