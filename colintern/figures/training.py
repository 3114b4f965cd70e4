"""The course of a training: loss, learning rate and gradient norm, each against its yardstick.

The parameters have the names of the evidence, so that an audit can ask for a figure like a rule.
"""

from typing import Final

import numpy as np

from colintern.artifacts.logs.log_table import NO_STEP, LogTable
from colintern.artifacts.logs.trainer_state import TrainerState
from colintern.diagnostics.log.contrastive_loss import ContrastiveLoss
from colintern.diagnostics.log.epoch_losses import healthy_losses
from colintern.diagnostics.log.evaluation_loss import EvaluationLoss
from colintern.diagnostics.log.gradient_norms import GradientNorms
from colintern.diagnostics.log.learning_rate import LearningRateSchedule, LearningRateTarget
from colintern.diagnostics.log.noise import Floats, finite_part
from colintern.figures.canvas import Figure, NothingToDraw
from colintern.figures.plot import Course, Plot, course_of, not_finite, typical_range
from colintern.figures.scale import shown
from colintern.guide import Guide

_LEAST_ROWS: Final = 2


def loss_figure(
    training_log: TrainerState, contrastive: ContrastiveLoss | None, guide: Guide
) -> Figure:
    """Draw the loss, with the chance level and the guide's healthy course scaled by chance."""
    rows = training_log.training
    values = _drawable(rows, rows.loss, "loss")
    course = course_of(rows)
    levels = [contrastive.chance] if contrastive else []
    low, high = typical_range(values, levels)
    plot = Plot("Training loss over the run", course, (min(low, 0.0), high))
    plot.curve(course.values, rows.loss, "loss")
    _evaluations(plot, training_log, course)
    caption = _loss_text(rows)
    if contrastive is not None:
        plot.level(contrastive.chance, "fig-level")
        plot.legend(f"chance ln({contrastive.candidates:,})", "fig-level")
        caption = f"{contrastive}"[:1].upper() + f"{contrastive}"[1:] + "."
        if contrastive.cold_start and course.unit == "epoch":
            caption += _corridor(plot, contrastive, course, guide)
    plot.crosses(course.values[not_finite(rows.loss)])
    return Figure("Loss", caption + _bad_text(rows.loss), plot.markup())


def evaluation_figure(training_log: TrainerState, evaluation_loss: EvaluationLoss) -> Figure:
    """Draw the evaluation loss beside the training loss, with its minimum."""
    rows, trained = training_log.evaluations, training_log.training
    values = _drawable(rows, rows.loss, "evaluation loss")
    training, high = finite_part(trained.loss), float(values.max())
    course = course_of(rows)
    beside = len(training) >= _LEAST_ROWS and course_of(trained).unit == course.unit
    if beside:
        high = max(high, typical_range(training)[1])
    plot = Plot("Evaluation loss over the run", course, (0.0, high))
    if beside:
        known = np.isfinite(trained.loss)
        plot.line(course_of(trained).values[known], training, "fig-raw")
        plot.legend("training", "fig-raw")
    known = np.isfinite(rows.loss)
    plot.line(course.values[known], rows.loss[known], "fig-curve")
    plot.legend("evaluation", "fig-curve")
    best = int(np.argmin(values))
    plot.dot(float(course.values[known][best]), float(values[best]), "fig-dot")
    found = evaluation_loss
    at = f" at step {found.best_step:,}" if found.best_step != NO_STEP else ""
    caption = f"Best {found.best:.3g}{at}, last {found.last:.3g}"
    rise = f", {found.rise_ratio:.1%} above the best" if found.rise > found.band else ""
    return Figure("Evaluation loss", f"{caption}{rise}.{_bad_text(rows.loss)}", plot.markup())


def rate_figure(
    training_log: TrainerState,
    learning_rate: LearningRateSchedule,
    learning_rate_target: LearningRateTarget | None,
) -> Figure:
    """Draw the learning rate that was used, with the interval that suits family and size."""
    rows = training_log.training
    values = _drawable(rows, rows.learning_rate, "learning rate")
    target = learning_rate_target
    course = course_of(rows)
    far_off = target is not None and target.factor_off(learning_rate.peak) > _FAR_OFF
    high = max(learning_rate.peak, target.high if target else 0.0)
    least = min(learning_rate.peak, target.low if target else high) / 4
    plot = Plot("Learning rate over the run", course, (least if far_off else 0.0, high))
    if target is not None:
        plot.interval(target.low, target.high, "fig-band")
    known = np.isfinite(rows.learning_rate)
    plot.line(course.values[known], values, "fig-curve")
    plot.legend("learning rate", "fig-curve")
    caption = f"Peak {shown(learning_rate.peak)} at step {learning_rate.peak_step:,}."
    if target is not None:
        plot.legend("accepted peak", "fig-band")
        caption += f" Accepted: {target}."
    return Figure("Learning rate", caption, plot.markup())


_FAR_OFF: Final = 10.0
"""A peak this many times off needs a logarithmic axis to share a figure with its interval."""


def gradient_figure(
    training_log: TrainerState, gradient_norm: GradientNorms, guide: Guide
) -> Figure:
    """Draw the gradient norms before clipping, with the level that makes a spike."""
    rows = training_log.training
    values = _drawable(rows, rows.grad_norm, "gradient norm")
    course = course_of(rows)
    positive = values[values > 0]
    spike = guide.max_grad_norm_spike * gradient_norm.median
    high = max(float(values.max()), gradient_norm.median)
    low = float(positive.min()) if len(positive) else 0.0
    plot = Plot("Gradient norm over the run", course, (low, max(high, spike)))
    known = np.isfinite(rows.grad_norm)
    plot.curve(course.values[known], np.maximum(values, plot.y.low), "norm before clipping")
    if spike > 0:
        plot.level(spike, "fig-level")
        plot.legend(f"{guide.max_grad_norm_spike:g} x median: a spike", "fig-level")
    plot.crosses(course.values[rows.has_grad_norm & not_finite(rows.grad_norm)])
    caption = f"{gradient_norm}"[:1].upper() + f"{gradient_norm}"[1:] + "."
    return Figure("Gradient norm", caption, plot.markup())


def _drawable(rows: LogTable, column: Floats, name: str) -> Floats:
    values = finite_part(column)
    if len(values) < _LEAST_ROWS or not len(rows):
        raise NothingToDraw(f"the log has fewer than two rows with a {name}")
    return values


def _evaluations(plot: Plot, log: TrainerState, course: Course) -> None:
    rows = log.evaluations
    if len(finite_part(rows.loss)) < _LEAST_ROWS:
        return
    other = course_of(rows)
    known = np.isfinite(rows.loss)
    if other.unit == course.unit:
        plot.line(other.values[known], rows.loss[known], "fig-second")
        plot.legend("evaluation", "fig-second")


def _corridor(plot: Plot, contrastive: ContrastiveLoss, course: Course, guide: Guide) -> str:
    """Draw the guide's healthy loss after each epoch; return where it would stand at the end."""
    healthy = healthy_losses(guide, contrastive.candidates)
    last = float(course.values.max())
    epochs = np.arange(len(healthy), dtype=np.float64)
    inside = epochs[epochs < last]
    xs = np.append(inside, min(last, epochs[-1]))
    values = np.interp(xs, epochs, healthy)
    plot.line(xs, values, "fig-guide")
    plot.legend("guide: a healthy run", "fig-guide")
    return f" The guide's healthy run, scaled by chance, would be at {values[-1]:.3g}."


def _loss_text(rows: LogTable) -> str:
    values = finite_part(rows.loss)
    return (
        f"From {values[0]:.3g} to {values[-1]:.3g} over {len(values):,} rows. What the loss is "
        f"compared with is not known, so no chance level is drawn."
    )


def _bad_text(values: Floats) -> str:
    bad = int(not_finite(values).sum())
    return f" {bad:,} rows are NaN or infinite (crosses at the top)." if bad else ""
