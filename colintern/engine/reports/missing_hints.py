"""What a person can do about evidence that was not recorded, and where it would have stood."""

import re
from collections.abc import Iterable
from typing import Final

_HINTS: Final = {
    "trainer_state.json": "The Trainer writes it into every checkpoint-N: copy the newest one "
    "beside the weights.",
    "training_args.bin": "The Trainer writes it beside the weights: copy it along.",
    "a log of": "Log more often (`logging_steps`), or evaluate during training (`eval_strategy`).",
    "adapter_config.json": "Only a LoRA adapter has it: name the adapter's folder.",
    "adapter_model.safetensors": "Name the folder that holds the adapter's weights.",
    "task results of": "Evaluate it (`colintern evaluate`), or name the folder: `--results DIR`.",
    "a readable task result": "Evaluate it again, or name another folder: `--results DIR`.",
    "results of a task": "Evaluate on ViDoRe: the guide has targets for some of its tasks.",
    "model_meta.json": "MTEB writes it beside its results: copy the whole folder.",
    "colintern_eval.json": "`colintern evaluate` writes it beside the results.",
    "colintern_run.json": "`colintern train` writes it beside the weights.",
    "colintern_resources.jsonl": "`colintern train` writes it while it trains.",
    "a base on the Hub": "Only for an adapter whose base is named by a Hub id.",
    "the retriever family": "Tell it: `--family NAME`.",
    "processor": "Save the processor beside the weights: `processor.save_pretrained(...)`.",
}
"""What a person can do about missing evidence, by how its name begins."""


_FILE: Final = re.compile(r"\b\w[\w-]*\.(?:jsonl?|bin|safetensors)\b")
_BASE: Final = re.compile(r"--base DIR|\bof the base\b")
_LOG: Final = re.compile(r"\blog\b|\brow with loss|^grad_norm|^global_step")
_RESULTS: Final = re.compile(r"\bresults?\b|ViDoRe|^four tasks|\bmain_score\b")


def source_of(name: str) -> str:
    """Say where the evidence called `name` would have stood, so that its lines are told as one.

    >>> source_of("rows of a GPU in colintern_resources.jsonl"), source_of("a complete ViDoRe(v1)")
    ('colintern_resources.jsonl', 'task results')
    """
    if name.startswith("--"):
        return "an option"
    if _BASE.search(name):
        return "the base model"
    if files := dict.fromkeys(_FILE.findall(name)):
        return " or ".join(files)
    if _LOG.search(name):
        return "trainer_state.json"
    return "task results" if _RESULTS.search(name) else name


def told_together(source: str, names: Iterable[str]) -> tuple[str, tuple[str, ...]]:
    """Return a heading for pieces of evidence of one source, and what of it each of them is."""
    several = tuple(names)
    if len(several) == 1:
        return several[0], ()
    return source, tuple(name.removesuffix(f" in {source}") for name in several if name != source)


def hint_of(name: str) -> str:
    """Say how to get the evidence called `name`; nothing where no advice is known."""
    if "--base DIR" in name:
        return "Name the folder of the base model: `--base DIR`."
    return next((hint for start, hint in _HINTS.items() if name.startswith(start)), "")
