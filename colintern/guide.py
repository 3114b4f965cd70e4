"""Every threshold of the training guide as data, each with its source.

A team overrides one with `--guide FILE` or `[tool.colintern.guide]`: `min_epochs = 3`. Figures that
depend on the retriever family (learning rate, epochs of other families, padding side) are in
`colintern.families.catalogue`.
"""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

Ratio = Annotated[float, Meta(ge=0, le=1)]


class Guide(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The guide's numbers. Field descriptions state source and unit."""

    # Configuration
    min_epochs: Annotated[
        float, Meta(gt=0, description="Guide, checklist: Epochs >= 5. Its optimiser computes 4.")
    ] = 5
    min_effective_batch_size: Annotated[
        int,
        Meta(
            ge=1,
            description=(
                "Guide, checklist: effective batch >= 64, per device x accumulation x devices."
            ),
        ),
    ] = 64
    min_in_batch_negatives: Annotated[
        int,
        Meta(
            ge=1,
            description=(
                "Guide: per-device batch 16, so 15 negatives; accumulation adds none (sources F01)."
            ),
        ),
    ] = 15
    learning_rate_warning_factor: Annotated[
        float,
        Meta(ge=1, description="Sources N07: warning outside a factor 2 of the accepted interval."),
    ] = 2
    learning_rate_error_factor: Annotated[
        float,
        Meta(ge=1, description="Sources N07: error outside a factor 10 of the accepted interval."),
    ] = 10
    min_warmup_steps: Annotated[
        int,
        Meta(
            ge=0, description="Guide, internal parameters: warmup_steps=100; 198 and 200 elsewhere."
        ),
    ] = 100
    min_warmup_epoch_ratio: Annotated[
        Ratio, Meta(description="Guide's optimiser: warm-up is 10 % of the first epoch.")
    ] = 0.1
    max_warmup_run_ratio: Annotated[
        Ratio,
        Meta(
            description=("Sources N09, F08: a third of the run or more never trains at its rate.")
        ),
    ] = 1 / 3
    max_normalised_temperature: Annotated[
        float,
        Meta(
            gt=0,
            description="sources A05: scores in [0, 1] with T >= 0.2 cannot fall below 0.31.",
        ),
    ] = 0.2
    normalised_temperature: Annotated[
        float,
        Meta(gt=0, description="colpali-engine 0.3.18: default of its late-interaction losses."),
    ] = 0.02

    # Adapter
    lora_dropout: Annotated[
        Ratio, Meta(description="Guide, LoRA configuration: 0.1, standard dropout.")
    ] = 0.1
    rank_small: Annotated[
        int, Meta(ge=1, description="Guide: rank 16 below 1B; sources N08: below 0.7B counted.")
    ] = 16
    rank_medium: Annotated[
        int, Meta(ge=1, description="Guide: rank 32 at 1B; sources N08: 0.7B to 3B counted.")
    ] = 32
    rank_large: Annotated[int, Meta(ge=1, description="Guide: rank 64 above 3B.")] = 64

    # Training log
    chance_ratio: Annotated[
        Ratio,
        Meta(
            description=("sources F03: a last fifth above 0.9 of ln(candidates) learned nothing.")
        ),
    ] = 0.9
    min_first_epoch_drop: Annotated[
        Ratio,
        Meta(
            description=(
                "Guide, problematic training: 2.40 -> 2.35 in epoch 1 is 2 %; sources N13: 5 %."
            )
        ),
    ] = 0.05
    max_final_loss: Annotated[
        float,
        Meta(
            gt=0,
            description=(
                "Guide, key metrics: 2.4 -> 0.8-1.0 at batch 16; scaled by chance elsewhere."
            ),
        ),
    ] = 1.0
    final_loss_batch_size: Annotated[
        int,
        Meta(
            ge=2,
            description="Guide, internal parameters: the batch to which max_final_loss belongs.",
        ),
    ] = 16
    healthy_loss_corridor: Annotated[
        tuple[float, ...],
        Meta(
            description="Guide, healthy training: loss at the start and after each epoch, batch 16."
        ),
    ] = (2.40, 1.50, 1.20, 1.00, 0.85, 0.75)
    max_grad_norm_spike: Annotated[
        float,
        Meta(gt=1, description="sources F10: 10 x the running median; guide's normal is 1-3."),
    ] = 10
    normal_grad_norm: Annotated[
        float,
        Meta(gt=0, description="Guide, key metrics: a gradient norm that is stable at 1 to 3."),
    ] = 3
    min_completed_ratio: Annotated[
        Ratio,
        Meta(description="Sources M02: runs that stop at the last save reach 95 % of max_steps."),
    ] = 0.95

    # Resource use
    max_gpu_memory_ratio: Annotated[
        Ratio, Meta(description="Guide, resource usage: above 95 % is an out-of-memory risk.")
    ] = 0.95
    min_gpu_utilisation: Annotated[
        Ratio, Meta(description="Guide, resource usage: below 70 % is inefficient.")
    ] = 0.70
    max_step_seconds: Annotated[
        float, Meta(gt=0, description="Guide, resource usage: more than 10 s a step is a warning.")
    ] = 10
    max_cpu_memory_ratio: Annotated[
        Ratio, Meta(description="Guide, resource usage: above 90 % is a warning sign.")
    ] = 0.90

    # Results
    ndcg_at_5_excellent: Annotated[
        Ratio, Meta(description="Guide, performance expectations: 0.70-0.85.")
    ] = 0.70
    ndcg_at_5_good: Annotated[
        Ratio, Meta(description="Guide, performance expectations: 0.50-0.70.")
    ] = 0.50
    ndcg_at_5_weak: Annotated[
        Ratio, Meta(description="Sources N10: the guide's gap 0.30-0.50 is weak.")
    ] = 0.30
    ndcg_at_5_poor: Annotated[
        Ratio, Meta(description="Guide, performance expectations: 0.10-0.30; below: broken.")
    ] = 0.10
    task_targets: Annotated[
        dict[str, tuple[float, float]],
        Meta(
            description=(
                "Guide, benchmark performance targets, NDCG@5. Its order is not that of "
                "published scores."
            )
        ),
    ] = msgspec.field(
        default_factory=lambda: {
            "VidoreArxivQARetrieval": (0.60, 0.75),
            "VidoreDocVQARetrieval": (0.65, 0.80),
            "VidoreInfoVQARetrieval": (0.55, 0.70),
            "VidoreTatdqaRetrieval": (0.50, 0.65),
        }
    )


GUIDE: Final = Guide()
"""The guide as written."""
