"""The saved tokenizer: its configuration, and how many token ids it can give."""

from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct

from colintern.artifacts import limits
from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.files import Enclosure, read_bytes
from colintern.artifacts.json.document import convert, read_json_object
from colintern.artifacts.printable import printable

MOST_TOKENS: Final = 1_000_000
"""Tokens of a vocabulary; the largest in use has 262,000."""
LARGEST_TOKEN_ID: Final = 2**31
"""Beyond any vocabulary; keeps a hostile id out of arithmetic."""

TokenId = Annotated[int, Meta(ge=0, le=LARGEST_TOKEN_ID)]


class TokenizerConfig(Struct, frozen=True, kw_only=True):
    """`tokenizer_config.json`."""

    path: Path
    padding_side: str | None = None
    """`left` or `right`; transformers takes the tokenizer class's own where it is absent."""
    tokenizer_class: str | None = None
    """As `Qwen2Tokenizer`."""
    processor_class: str | None = None
    """The processor that it belongs to."""


class _Recorded(Struct, frozen=True, kw_only=True):
    padding_side: str | None = None
    tokenizer_class: str | None = None
    processor_class: str | None = None


class _Token(Struct, frozen=True):
    id: TokenId


class _Model(Struct, frozen=True):
    vocab: Raw = Raw(b"{}")


class _Tokenizer(Struct, frozen=True):
    model: _Model
    added_tokens: list[_Token] = msgspec.field(default_factory=list)


def read_tokenizer_config(path: Path, enclosure: Enclosure | None) -> TokenizerConfig:
    """Read `tokenizer_config.json`.

    Raises:
        ArtifactError: unreadable, not JSON, or a field of the wrong type.
    """
    recorded = convert(path, read_json_object(path, enclosure), _Recorded)
    return TokenizerConfig(path=path, **msgspec.structs.asdict(recorded))


def read_num_token_ids(path: Path, enclosure: Enclosure | None) -> int:
    """Return one more than the largest id in `tokenizer.json`, added tokens included.

    The merges, which are most of the file, are skipped, not built.

    Raises:
        ArtifactError: unreadable, not JSON, or no tokenizer of the tokenizers library.
    """
    content = read_bytes(path, enclosure, limit=limits.TOKENIZER_JSON_BYTES)
    try:
        tokenizer = msgspec.json.decode(content, type=_Tokenizer)
        largest = max(_largest_id(path, tokenizer.model.vocab), *_added_ids(tokenizer))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise ArtifactError(
            path,
            expected="a tokenizer with a vocabulary",
            found=printable(error, limit=160),
            remedy="Save the tokenizer again with `save_pretrained`.",
        ) from error
    return largest + 1


def _added_ids(tokenizer: _Tokenizer) -> list[int]:
    return [-1, *(token.id for token in tokenizer.added_tokens)]


def _largest_id(path: Path, vocabulary: Raw) -> int:
    """Ids of a dictionary are its values; those of a list, as Unigram has, are its places."""
    # Counted before it is built: a colon for each entry of a dictionary, a bracket for a list's.
    content = bytes(vocabulary)
    num_entries = content.count(b":" if content.startswith(b"{") else b"[")
    if num_entries > 2 * MOST_TOKENS:
        raise ArtifactError(path, expected=f"at most {MOST_TOKENS:,} tokens", found="more")
    entries = msgspec.json.decode(content, type=dict[str, TokenId] | list[Raw])
    return max(entries.values(), default=-1) if isinstance(entries, dict) else len(entries) - 1
