"""PRC: a processor that is lost, or another one than in training."""

from builders.manifest import write_manifest
from builders.processor import TOKENS, write_processor
from builders.results import write_record

from cases.case import Case


def _without_tokenizer(run):
    (run / "tokenizer.json").unlink()
    (run / "tokenizer_config.json").unlink()


def _many_tokens(run):
    write_processor(run, tokens=(*TOKENS, *(f"word{number}" for number in range(200_000))))


CASES = {
    "PRC001": Case(bad=_without_tokenizer),
    "PRC002": Case(
        bad=lambda run: write_manifest(run, processor={"padding_side": "right"}),
        # The class sets the side when it is made, so this file decides nothing.
        good=lambda run: write_processor(run, tokenizer_changes={"padding_side": "right"}),
    ),
    "PRC003": Case(
        bad=lambda run: write_record(run, query_prefix="Query: "),
        good=lambda run: write_record(run, query_suffix=None),
    ),
    "PRC004": Case(bad=lambda run: write_record(run, max_num_visual_tokens=3328), outcome="warned"),
    "PRC005": Case(bad=_many_tokens),
}
