"""Runs whose training log shows one fault each."""

import math
import shutil

from builders.manifest import write_manifest
from builders.training_log import write_training_log

from cases.case import Case


def _log(**changes):
    return lambda run: write_training_log(run, **changes)


def _after(share, change):
    return lambda at, value: change(value) if at >= share else value


def _always(figure):
    return lambda _, __: figure


def _swing(at, value):
    return max(0.05, value + 0.6 * math.sin(2 * math.pi * 8 * at))


def _overfit(at, value):
    return value if at < 0.4 else 1.0 + 1.2 * (at - 0.4)


def _spike(at, value):
    return 12 * value if at == 0.5 else value


def _relearned(at, value):
    return value + 1.5 * math.exp(-8 * (at - 0.5)) if at > 0.501 else value


def _cut(run):
    write_training_log(run, steps=330, max_steps=600)
    write_manifest(run, status="started")


def _keep(run):
    for step in (500, 600):
        (run / f"checkpoint-{step}").mkdir(exist_ok=True)


def _lose_the_best(run):
    write_training_log(run, eval_steps=50, eval_loss=lambda at, value: value if at != 0.5 else 0.5)
    _keep(run)


def _repeat_a_step(rows):
    rows[3]["step"] = rows[2]["step"]


def _train_again(run):
    """The folder of a longer run, trained into again: its later checkpoints are left."""
    (run / "trainer_state.json").unlink()
    for step, steps, seed in ((200, 600, 1), (400, 600, 1), (600, 600, 1), (800, 1000, 2)):
        folder = run / f"checkpoint-{step}"
        folder.mkdir()
        write_training_log(folder, steps=step, max_steps=steps, save_steps=200, seed=seed)


def _save_often(run):
    for step in (200, 400, 600):
        folder = run / f"checkpoint-{step}"
        folder.mkdir()
        shutil.copyfile(run / "trainer_state.json", folder / "trainer_state.json")


def _leap(at, value):
    return value + 1.5 if 0.4 <= at < 0.7 else value


CASES = {
    "LOG001": Case(bad=_log(loss=_after(0.4, lambda _: math.nan))),
    "LOG002": Case(bad=_log(start=2.8, end=2.75, noise=0.02)),
    "LOG003": Case(bad=_log(start=2.4, end=2.35, shape=0)),
    "LOG004": Case(bad=_log(end=1.6), outcome="warned"),
    "LOG005": Case(bad=_log(loss=_swing)),
    "LOG006": Case(bad=_log(loss=lambda at, value: value + max(0.0, 5 * (at - 0.5)))),
    "LOG007": Case(bad=_log(eval_steps=30, eval_loss=_overfit)),
    "LOG008": Case(bad=_log(eval_loss=lambda _, value: value + 1.2), outcome="warned"),
    "LOG009": Case(bad=_log(eval_loss=_always(0.0))),
    "LOG010": Case(bad=_log(loss=_spike), outcome="warned"),
    "LOG011": Case(bad=_log(grad_norm=_always(0.0), start=2.4, end=2.38)),
    "LOG012": Case(bad=_log(learning_rate=_after(0.5, lambda _: 0.0)), outcome="warned"),
    "LOG013": Case(bad=_cut),
    "LOG014": Case(bad=_log(loss=_relearned)),
    "LOG015": Case(bad=_lose_the_best, good=_keep, outcome="warned"),
    "LOG016": Case(bad=_log(start=9.6, end=3.0, eval_loss=lambda _, v: v / 4), outcome="noted"),
    "LOG017": Case(bad=_log(edit_rows=_repeat_a_step), outcome="warned"),
    "LOG019": Case(bad=_train_again, good=_save_often, outcome="warned"),
    "LOG020": Case(bad=_log(loss=_leap, save_steps=500), outcome="warned"),
}
