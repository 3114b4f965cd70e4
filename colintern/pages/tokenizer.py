"""The tokenizer of the tiny base: one token a word of the generated world."""

from typing import TYPE_CHECKING, Final

from colintern.pages.facts import WORDS, query_words
from colintern.pages.layout import printed_words

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD: Final = "<|endoftext|>"
IMAGE_TOKENS: Final = {
    "start_image_token": "<img>",
    "end_image_token": "</img>",
    "context_image_token": "<IMG_CONTEXT>",
    "video_token": "<video>",
}
"""InternVL's names and spellings."""


def vocabulary() -> list[str]:
    """Return every token in order; the index is the token's id."""
    values = {word for words in WORDS.values() for word in words}
    words = sorted(values | printed_words() | query_words())
    return [PAD, "<unk>", *IMAGE_TOKENS.values(), *words]


def world_tokenizer() -> "PreTrainedTokenizerFast":
    """Build the tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers  # noqa: PLC0415 - of the train extra
    from transformers import PreTrainedTokenizerFast

    ids = {token: index for index, token in enumerate(vocabulary())}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="<unk>"))  # noqa: S106 - no secret
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        unk_token="<unk>",  # noqa: S106 - no secret
        pad_token=PAD,
        eos_token=PAD,
        extra_special_tokens=IMAGE_TOKENS,
        padding_side="left",
    )
