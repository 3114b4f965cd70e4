"""How the evaluations of a run went, by the measure that the run itself goes by."""

import math
import re
from collections.abc import Iterable
from typing import Final

import numpy as np
from msgspec import Struct

from colintern.artifacts.logs.metrics import PREFIX, MetricSeries
from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.diagnostics.log.evaluation_loss import (
    MIN_EVALUATIONS,
    RISING,
    Evaluation,
    EvaluationLoss,
    evaluation_loss,
    evaluation_series,
)

LOSS: Final = "eval_loss"

_LOWER: Final = re.compile(
    r"(^|[_\W])(loss|perplexity|ppl|wer|cer|mse|mae|rmse|error|divergence|distance|eer)([_\W]|$)"
)
"""Names of metrics that get better as they fall."""

_HIGHER: Final = re.compile(
    r"(^|[_\W])(ndcg|mrr|map|recall|precision|hit|hits|accuracy|acc|f1|auc|auroc|bleu|rouge\w*|"
    r"exact_match|em|spearman|pearson|matthews_correlation|ap|score|reward|ir_score)"
    r"([_\W\d]|$)"
)
"""Names of metrics that get better as they rise."""

_PRIMARY: Final = ("ndcg", "mrr", "map", "recall", "score", "accuracy", "acc", "f1")
"""Of several metrics that a run logs and does not choose from, the first of these is looked at."""

_SHARE_FALL: Final = 0.05
"""Fall of a score, as a share of its best, that two evaluations or more must keep: evaluations of
a few hundred queries repeat to 2 or 3 %."""

_AFTER_BEST: Final = 2
"""Evaluations of a score after the best: no slow rise is waited for when all are far below."""

_SAME: Final = 1e-6
"""Relative distance of `best_metric` from the value that it was taken from."""


class EvaluationCourse(Struct, frozen=True):
    """One series of evaluations, and which way it gets better."""

    name: str
    """As logged: `eval_loss`, `eval_NanoBEIR_mean_maxsim_ndcg@10`."""
    greater_is_better: bool
    series: EvaluationLoss
    """Measured on the values, or on their negatives where greater is better: it falls when the
    model gets better."""
    wrong_sign: bool = False
    """The run kept its worst evaluation for the best: `greater_is_better` the wrong way round."""

    @property
    def best(self) -> float:
        """The best value as logged."""
        return -self.series.best if self.greater_is_better else self.series.best

    @property
    def last(self) -> float:
        """The last value as logged."""
        return -self.series.last if self.greater_is_better else self.series.last

    @property
    def overfits(self) -> bool:
        """Whether it gets worse from its best on, beyond noise and chance."""
        falls = self.greater_is_better and self.series.stays_above(_SHARE_FALL, _AFTER_BEST)
        return self.series.overfits or (falls and self.series.training_falls is not False)

    def shown(self, evaluation: Evaluation) -> float:
        """Return a value of the series as it was logged."""
        return -evaluation.value if self.greater_is_better else evaluation.value

    def is_best(self, step: int) -> bool:
        """Whether the weights of a step are as good as the best, within noise."""
        found = self.series.best_of((step,))
        return found is not None and found.value - self.series.best <= self.series.band

    def is_other_metric(self, best_metric: float | None) -> bool:
        """Whether the run chose its best checkpoint by something else than this series."""
        return best_metric is not None and not math.isclose(best_metric, self.best, rel_tol=1e-3)

    def __str__(self) -> str:
        change = (self.last - self.best) / abs(self.best) if self.best else 0.0
        found = self.series
        how = f"p = {found.trend_after_best.p_rise:.2g}"
        if found.trend_after_best.p_rise >= RISING and self.overfits:
            how = f"all {found.num_after_best} evaluations after it are worse"
        trend = f"({change:+.1%}, {how})"
        at = f"{self.best:.4g} at step {found.best_step:,}"
        return f"{self.name} {at}, {self.last:.4g} at the end {trend}"


def evaluation_course(
    log: TrainerState, *, chosen: str | None = None, greater_is_better: bool | None = None
) -> EvaluationCourse | None:
    """Measure the series that the run goes by, or return None where there is none to judge.

    That is `metric_for_best_model`, else the series that `best_metric` is a value of, else the
    loss, else the usual metric of a retriever.

    Args:
        log: the trainer's state.
        chosen: `metric_for_best_model`, where it is recorded.
        greater_is_better: as recorded; a name that says which way it goes is believed first.
    """
    name = _name_of(log, chosen)
    if name is None:
        return None
    greater = _direction(log, name, said=greater_is_better)
    if greater is None:
        return None
    measured = _measured(log, name, greater=greater)
    if measured is None:
        return None
    wrong = _is_wrong_sign(log, name, greater=greater)
    return EvaluationCourse(name, greater, measured, wrong)


def _measured(log: TrainerState, name: str, *, greater: bool) -> EvaluationLoss | None:
    if name == LOSS:
        return evaluation_loss(log)
    series = log.metrics[name]
    values = -series.value if greater else series.value
    return evaluation_series(log, values, step=series.step, row=series.row)


def _name_of(log: TrainerState, chosen: str | None) -> str | None:
    long = {name for name, series in log.metrics.items() if len(series) >= MIN_EVALUATIONS}
    has_loss = int(np.isfinite(log.evaluations.loss).sum()) >= MIN_EVALUATIONS
    if chosen is not None:
        name = chosen if chosen.startswith(PREFIX) else PREFIX + chosen
        if name in long or (name == LOSS and has_loss):
            return name
    held = [name for name in sorted(long) if _is_extreme(log, log.metrics[name])]
    losses = log.evaluations.loss[np.isfinite(log.evaluations.loss)]
    if has_loss and (not held or _holds(log.best_metric, (losses.min(), losses.max()))):
        return LOSS
    return _primary(held) or _primary(sorted(long))


def _holds(best: float | None, values: Iterable[float]) -> bool:
    return best is not None and any(math.isclose(best, each, rel_tol=_SAME) for each in values)


def _is_extreme(log: TrainerState, series: MetricSeries) -> bool:
    return _holds(log.best_metric, (float(series.value.max()), float(series.value.min())))


def _primary(names: Iterable[str]) -> str | None:
    ranked = [
        (_PRIMARY.index(kind), "mean" not in name, len(name), name)
        for name in names
        if (kind := next((each for each in _PRIMARY if each in name.lower()), None)) is not None
    ]
    return min(ranked)[-1] if ranked else next(iter(names), None)


def _named_direction(name: str) -> bool | None:
    short = name.removeprefix(PREFIX).lower()
    if _LOWER.search(short):
        return False
    return True if _HIGHER.search(short) else None


def _direction(log: TrainerState, name: str, *, said: bool | None) -> bool | None:
    named = False if name == LOSS else _named_direction(name)
    if named is not None or said is not None:
        return named if named is not None else said
    values = log.metrics[name].value
    at_top = _holds(log.best_metric, (float(values.max()),))
    at_bottom = _holds(log.best_metric, (float(values.min()),))
    return at_top if at_top != at_bottom else None


def _is_wrong_sign(log: TrainerState, name: str, *, greater: bool) -> bool:
    """Whether `best_metric` is the worst of the series, and not the best as well."""
    values = log.evaluations.loss if name == LOSS else log.metrics[name].value
    values = values[np.isfinite(values)]
    best, worst = float(values.max()), float(values.min())
    if not greater:
        best, worst = worst, best
    return _holds(log.best_metric, (worst,)) and not _holds(log.best_metric, (best,))
