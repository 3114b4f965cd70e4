"""README.md of the healthy run, as the Trainer and PEFT write it."""

from pathlib import Path

HYPERPARAMETERS = {
    "learning_rate": "7e-05",
    "train_batch_size": "16",
    "eval_batch_size": "16",
    "seed": "42",
    "gradient_accumulation_steps": "4",
    "total_train_batch_size": "64",
    "optimizer": "Use adamw_torch with betas=(0.9,0.999) and epsilon=1e-08",
    "lr_scheduler_type": "cosine",
    "lr_scheduler_warmup_steps": "100",
    "num_epochs": "5",
}


def write_model_card(run: Path, **changes):
    """Each change is a line of the hyperparameters; None removes it."""
    lines = {**HYPERPARAMETERS, **changes}
    listed = "\n".join(f"- {key}: {value}" for key, value in lines.items() if value is not None)
    (run / "README.md").write_text(f"""---
library_name: peft
base_model: ../base
tags:
- base_model:adapter:../base
- lora
- generated_from_trainer
---

# run

## Training procedure

### Training hyperparameters

The following hyperparameters were used during training:
{listed}

### Training results

### Framework versions

- PEFT 0.20.0
- Transformers 5.23.0
- Pytorch 2.13.0
- Datasets 5.2.0
- Tokenizers 0.23.1
""")


def write_sentence_transformers_card(run: Path, loss="MultipleNegativesRankingLoss", **arguments):
    listed = "\n".join(f"- `{key}`: {value}" for key, value in arguments.items())
    (run / "README.md").write_text(f"""---
tags:
- sentence-transformers
- loss:{loss}
base_model: BAAI/bge-small-en-v1.5
library_name: sentence-transformers
---

## Training Details

* Loss: [<code>{loss}</code>](https://sbert.net/docs/losses.html)

#### All Hyperparameters

{listed}

### Framework Versions
- Python: 3.10.12
- Sentence Transformers: 3.3.1
- Transformers: 4.44.2
""")
