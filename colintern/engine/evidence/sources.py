"""Where evidence is read from, each place with what a person can do when it is absent.

A source that nobody can do anything about (a model of another kind) has no hint.
"""

from typing import Final

from colintern.artifacts.results.evaluation_record import EVALUATION_RECORD
from colintern.artifacts.results.model_meta import MODEL_META as MODEL_META_FILE
from colintern.artifacts.run import layout
from colintern.engine.missing import Source

_RECORDED_BY_TRAIN: Final = "`colintern train` records it."
_BY_TRAINER: Final = "The Trainer writes training_args.bin next to the weights: copy it too."
_EVALUATE: Final = "Evaluate it (`colintern evaluate`), or name the folder: `--results DIR`."
_SAVE_PROCESSOR: Final = (
    "Save the processor next to the weights: `processor.save_pretrained(FOLDER)`."
)

LOG_MORE: Final = "Log more often: `logging_steps`."
EVALUATE_IN_TRAINING: Final = "Evaluate during training: `eval_strategy`."
EVALUATE_ON_VIDORE: Final = 'Evaluate on ViDoRe: `colintern evaluate --benchmarks "ViDoRe(v1)"`.'

# The run and its log

LOG: Final = Source(
    layout.TRAINER_STATE,
    "The Trainer writes it into every checkpoint-N: copy the newest one next to the weights.",
)
MANIFEST: Final = Source(
    layout.RUN_MANIFEST, "`colintern train` writes it next to the weights.", _RECORDED_BY_TRAIN
)
ARGUMENTS: Final = Source(
    layout.TRAINING_ARGS, "The Trainer writes it next to the weights: copy it too."
)
MANIFEST_OR_ARGUMENTS: Final = Source(
    f"{layout.RUN_MANIFEST} or {layout.TRAINING_ARGS}", _BY_TRAINER, _BY_TRAINER
)
CONFIGURATION: Final = Source(
    f"{layout.RUN_MANIFEST}, {layout.TRAINING_ARGS} or {layout.TRAINER_STATE}", _BY_TRAINER
)
MODEL_CARD: Final = Source(
    layout.MODEL_CARD, "`trainer.create_model_card()` writes it next to the weights."
)
MANIFEST_OR_CARD: Final = Source(
    f"{layout.RUN_MANIFEST} or {layout.MODEL_CARD}", part_hint=_RECORDED_BY_TRAIN
)
RESOURCES: Final = Source(layout.RESOURCE_LOG, "`colintern train` writes it while it trains.")
LIVE_RECORD: Final = Source(layout.LIVE_RECORD)
GIT_HASH: Final = Source(
    "git_hash.txt", "colpali-engine's trainer writes it into the output folder: copy it too."
)
CHECKPOINTS: Final = Source(
    "the checkpoint-N folders", part_hint="Keep more checkpoints: `save_total_limit`."
)
FOLDER: Final = Source(
    "the audited folder", part_hint="Point `--checkpoint` at the run's own folder."
)
FINAL_FOLDER: Final = Source("the run's final folder")
RUN_FILES: Final = Source("the files of the run")

# Weights and models

ADAPTER_CONFIG: Final = Source(
    layout.ADAPTER_CONFIG, "Only a LoRA adapter has it: name the adapter's folder."
)
ADAPTER_WEIGHTS: Final = Source(
    layout.ADAPTER_WEIGHTS, "Name the folder that holds the adapter's weights."
)
WEIGHTS: Final = Source(
    f"{layout.ADAPTER_WEIGHTS} or {layout.MODEL_WEIGHTS}", "Name the folder that holds the weights."
)
BASE: Final = Source(
    "the base model",
    "Name the folder of the base model: `--base DIR`.",
    "Name a folder that holds all of the base model: `--base DIR`.",
)
BASE_IN_CACHE: Final = Source("the local Hub cache", part_hint=BASE.hint)
MERGED_MODEL: Final = Source(
    "the merged model", part_hint="Name the folder of the merged model: `--merged DIR`."
)
MODEL_CONFIG: Final = Source(
    layout.MODEL_CONFIG, "Save it next to the weights: `model.config.save_pretrained(FOLDER)`."
)
ANY_CONFIG: Final = Source(f"{layout.MODEL_CONFIG} or another configuration file")
FAMILY: Final = Source("the retriever family", "Name it: `--family NAME`.")
FAMILY_FILES: Final = Source("two files that name the family")
PUBLISHED_RECIPES: Final = Source("the published recipes")
GUIDE: Final = Source("the guide")
RELEASES: Final = Source("our table of releases")

# Processor and tokenizer

PROCESSOR: Final = Source(
    f"{layout.PROCESSOR_CONFIG} or {layout.PREPROCESSOR_CONFIG}", _SAVE_PROCESSOR
)
TOKENIZER_CONFIG: Final = Source(layout.TOKENIZER_CONFIG, _SAVE_PROCESSOR)
TOKENIZER: Final = Source(layout.TOKENIZER, _SAVE_PROCESSOR)

# Results

RESULTS: Final = Source("task results", _EVALUATE, _EVALUATE)
EVALUATION: Final = Source(
    EVALUATION_RECORD,
    "`colintern evaluate` writes it next to the results.",
    "Evaluate again: `colintern evaluate` records it.",
)
RECORDS: Final = Source(
    f"{layout.RUN_MANIFEST} or {EVALUATION_RECORD}",
    part_hint="`colintern train` and `colintern evaluate` record it.",
)
BOTH_RECORDS: Final = Source(
    f"{layout.RUN_MANIFEST} and {EVALUATION_RECORD}", part_hint=RECORDS.part_hint
)
RECORDS_OR_TOKENIZER: Final = Source(
    f"{layout.TOKENIZER_CONFIG}, {RECORDS.name}", part_hint=_SAVE_PROCESSOR
)
MODEL_META: Final = Source(
    MODEL_META_FILE, "MTEB writes it next to its results: copy the whole folder."
)
BASELINE_RESULTS: Final = Source(
    "the results in `--baseline`", part_hint="Name a folder with results of the same tasks."
)

# What the audit itself is given

BASELINE: Final = Source("--baseline DIR", is_option=True)
MERGED: Final = Source("--merged DIR", is_option=True)
LIVE: Final = Source("--live", is_option=True)
LIVE_PAGES: Final = Source(
    "the pages of `--live`", part_hint="Give pages of your own: `--live-pages DIR`."
)
MEMORY: Final = Source("this machine", part_hint="Run it on a larger machine.")
TRAIN_EXTRA: Final = Source("the extra `train`", "Install it: `uv pip install 'colintern[train]'`.")
LIBRARIES: Final = Source("working libraries")
RUNNABLE: Final = Source("a model that can be run")
RUNNABLE_MERGED: Final = Source("a merged model that can be run")
MODEL_IN_MEMORY: Final = Source("the model in memory")
