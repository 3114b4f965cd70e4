"""How much of a stranger's file is read, with the reason for each figure.

A file beyond its limit is an `ArtifactError`, never a slow or large audit. The figures are far
above anything in public runs (sources M14) and far below what would hurt a CI machine.
"""

from typing import Final

KIBIBYTE: Final = 1024
MEBIBYTE: Final = 1024 * KIBIBYTE
GIBIBYTE: Final = 1024 * MEBIBYTE

CONFIG_JSON_BYTES: Final = 8 * MEBIBYTE
"""adapter_config.json, config.json, processor configs: the largest seen holds 200 kB."""

TOKENIZER_JSON_BYTES: Final = 64 * MEBIBYTE
"""tokenizer.json: 33 MB for the 256k vocabulary of Gemma. Read only where a rule needs it."""

MODEL_CARD_BYTES: Final = 4 * MEBIBYTE
"""README.md; the largest seen holds 40 kB."""

MODEL_CARD_LINES: Final = 50_000
"""Lines of README.md that are looked at; the longest seen has 800."""

MODEL_CARD_VALUES: Final = 1_000
"""Tags, datasets or hyperparameters of one card; a sentence-transformers card lists 130."""

TRAINER_STATE_BYTES: Final = 64 * MEBIBYTE
"""About 400,000 log rows; the longest public run has 12,000 rows in 2 MB."""

LOG_ROWS: Final = 400_000
"""Training rows of `log_history`, and as many evaluations; what is neither is bounded by the size
of the file and by the number of its objects."""

RESOURCE_LOG_BYTES: Final = 64 * MEBIBYTE
"""About 300,000 rows of 210 bytes."""

RESOURCE_ROWS: Final = 200_000
"""Rows of the resource log: one a logging step, 920 in the guide's five epochs."""

LIVE_LOG_BYTES: Final = 16 * MEBIBYTE
"""Log of a run that trains, beyond which it is not continued: about 100,000 rows of 160 bytes."""

LIVE_LOG_TAIL_BYTES: Final = 4 * MEBIBYTE
"""What is read of it each time it is shown: the newest 25,000 rows."""

LIVE_FINDINGS: Final = 1_000
"""Findings of one live audit; there are fewer rules than a tenth of it."""

TASK_RESULT_BYTES: Final = 4 * MEBIBYTE
"""One MTEB result file; the largest seen holds 60 kB."""

TASK_RESULT_FILES: Final = 2_000
"""JSON files below one results folder; all of ViDoRe v1 to v3 is 40."""

TASK_RESULT_TOTAL_BYTES: Final = 16 * MEBIBYTE
"""All JSON files below one results folder; all of ViDoRe v1 to v3 is 2 MB."""

TASK_RESULT_ENTRIES: Final = 5_000
"""Language subsets in one result file; ViDoRe has at most 6."""

PREDICTIONS_BYTES: Final = 160 * MEBIBYTE
"""The ranking of every query of a task: a task of v3 (six languages, 300 queries, 1,000 pages
each) holds 80 MB. Read only where two models are compared."""

RESULT_FOLDER_DEPTH: Final = 8
"""Folders inside each other below a results folder; MTEB makes two, with experiments four."""

FOLDER_ENTRIES: Final = 20_000
"""Names in one folder, and checkpoints in one run."""

WALK_ENTRIES: Final = 20_000
"""Files and folders below a subject that are looked at for pickles, links and code."""

RUN_ENTRIES: Final = 100_000
"""Names in all checkpoint folders of a run together; a checkpoint has about 15."""

JSON_DEPTH: Final = 64
"""Nested containers; the deepest artefact seen has 9."""

JSON_CONTAINERS: Final = 800_000
"""Objects and arrays of one file: each costs the parser 60 to 200 bytes of memory, however empty.
400,000 log rows, or the 600,000 merges of the largest tokenizer."""

JSON_COMMAS: Final = 4_000_000
"""Values of one file, counted by the commas between them."""

TRAINING_ARGS_BYTES: Final = 4 * MEBIBYTE
"""training_args.bin; the largest seen holds 7.5 kB."""

PICKLE_BYTES: Final = 32 * MEBIBYTE
"""One pickle, without the tensors beside it: optimizer.pt of 400 LoRA matrices has 100 kB."""

PICKLE_OPCODES: Final = 2_000_000
"""Opcodes interpreted in all pickles of a folder, about a second's work; 600 in the largest
training_args.bin seen, 40,000 in the optimizer.pt of 400 LoRA matrices."""

PICKLES_IN_FILE: Final = 16
"""Pickles one after the other, or members of one archive; torch's oldest format has five."""

PICKLE_VALUES: Final = 20_000
"""Values of a training_args.bin made readable; about 150 in those seen."""

PICKLE_DEPTH: Final = 16
"""Nested containers among them; 4 in those seen."""

ZIP_DIRECTORY_BYTES: Final = 8 * MEBIBYTE
"""The list of members of an archive: 80,000 members; optimizer.pt has one a tensor."""

SAFETENSORS_HEADER_BYTES: Final = 64 * MEBIBYTE
"""300 bytes a tensor at the limit below; the safetensors crate itself stops at 100 MB."""

SAFETENSORS_TENSORS: Final = 200_000
"""Tensors in one file, and in all shards of a model; an 8B model has under 1,000, a large mixture
of experts 100,000 over its shards."""

TENSOR_VALUES: Final = 32 * MEBIBYTE
"""Values of one tensor that is read whole (128 MiB as float32): the largest LoRA matrix or
projection of a 72B model has 8 million. Larger tensors are read in pieces."""

WEIGHT_SCAN_BYTES: Final = 64 * GIBIBYTE
"""Weights of which every value is read: ten seconds from memory, minutes from a disk."""

INDEX_BYTES: Final = 32 * MEBIBYTE
"""model.safetensors.index.json: about 100 bytes a tensor."""

SHARDS: Final = 2_000
"""Files that one index names; the largest public models have under 200."""
