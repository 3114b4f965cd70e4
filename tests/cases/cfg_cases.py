"""CFG: a healthy run, misconfigured in one way."""

import math

from builders.manifest import write_manifest
from builders.training_log import write_training_log

from cases.case import Case

OLD = {
    "colpali-engine": "0.3.13",
    "transformers": "4.57.1",
    "peft": "0.17.1",
    "torch": "2.8.0",
}


def _manifest(**changes):
    return lambda run: write_manifest(run, **changes)


def _arguments(**changes):
    return _manifest(arguments=changes)


def _batch(run, per_device, accumulation):
    # The same shares of chance as with 16 pages.
    of_chance = math.log(per_device) / math.log(16)
    write_training_log(run, batch_size=per_device, start=2.4 * of_chance, end=0.75 * of_chance)
    write_manifest(
        run,
        arguments={
            "per_device_train_batch_size": per_device,
            "per_device_eval_batch_size": per_device,
            "gradient_accumulation_steps": accumulation,
        },
        effective_batch_size=None,
        contrastive_batch_size=None,
        candidates=None,
    )


def _batch_of_two(run):
    _batch(run, 2, 1)


def _batch_of_four(run):
    _batch(run, 4, 16)


def _fast(run):
    write_manifest(run, arguments={"learning_rate": 2e-3})
    write_training_log(run, peak=2e-3)


def _never_evaluated(run):
    write_manifest(run, arguments={"eval_strategy": "no"})
    write_training_log(run, eval_steps=None)


CASES = {
    "CFG001": Case(bad=_arguments(num_train_epochs=1)),
    "CFG002": Case(bad=_batch_of_two),
    "CFG003": Case(bad=_fast),
    "CFG004": Case(
        bad=_batch_of_four,
        outcome="warned",
        # A cached batch of four compares with 64 pages.
        good=_manifest(
            arguments={"per_device_train_batch_size": 4, "gradient_accumulation_steps": 1},
            contrastive_batch_size=64,
            candidates=64,
        ),
    ),
    "CFG005": Case(bad=_arguments(warmup_steps=200)),
    "CFG006": Case(bad=_arguments(bf16=False, fp16=True)),
    "CFG007": Case(bad=_manifest(hardware={"attention": "sdpa"}), outcome="warned"),
    "CFG008": Case(bad=_never_evaluated, outcome="warned"),
    "CFG009": Case(bad=_arguments(dataloader_num_workers=0), outcome="noted"),
    "CFG010": Case(bad=_arguments(max_grad_norm=0), outcome="warned"),
    "CFG011": Case(bad=_manifest(processor={"max_num_visual_tokens": 8}), outcome="warned"),
    "CFG012": Case(
        bad=_arguments(gradient_checkpointing_kwargs={"use_reentrant": True}), outcome="warned"
    ),
    "CFG013": Case(
        bad=_manifest(loss={"class": "ColbertPairwiseCELoss", "temperature": 1.0}),
        good=_manifest(
            loss={
                "class": "ColbertPairwiseCELoss",
                "temperature": 1.0,
                "normalize_scores": False,
            }
        ),
    ),
    "CFG014": Case(
        bad=_manifest(world_size=4, effective_batch_size=256, candidates=16),
        outcome="warned",
        good=_manifest(world_size=4, effective_batch_size=256, candidates=64),
    ),
    "CFG015": Case(
        bad=_manifest(loss={"class": "ColbertSigmoidLoss"}, versions=OLD),
        good=_manifest(loss={"class": "ColbertSigmoidLoss"}, versions={"colpali-engine": "0.3.14"}),
    ),
}
