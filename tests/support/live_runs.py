"""The first steps of real runs of the recipe `tiny` under the live audit, sound or with a fault."""

import random
from dataclasses import replace

import torch
from transformers import TrainerCallback

from colintern.recipes.named import tiny
from colintern.training import adapted_model, run
from colintern.training.audit_callback import AuditCallback
from colintern.training.trainer import ColInternTrainer

FIRST_TENTH = 50
"""Steps of the recipe's 500."""


class StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, _, state, control, **__):
        if state.global_step >= self.step:
            control.should_training_stop = True


def audited(folder, *, seed=0, steps=FIRST_TENTH, audit=None, **changes):
    """Train the first `steps` of a run whose schedule is the whole recipe's."""
    arguments = {"use_cpu": True, "disable_tqdm": True}
    recipe = replace(tiny(), seed=seed, arguments=arguments, **changes)
    audit = audit or AuditCallback()
    run.train(recipe, folder, callbacks=[StopAt(steps)], audit=audit)
    return audit


def roots(audit):
    """Return the findings that follow from no other, by rule; the machine's are not the run's."""
    return {
        each.rule: each.step
        for each in audit.findings
        if not each.explained_by and not each.rule.startswith("HWU")
    }


class ShuffledRows:
    """Each query with the page of another."""

    def __init__(self, rows):
        self.rows = rows
        self.other = list(range(len(rows)))
        random.Random(0).shuffle(self.other)

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        page = self.rows[self.other[index]]["pos_target"]
        return {**self.rows[index], "pos_target": page}


def shuffle_labels(monkeypatch):
    opened = run.open_data

    def shuffled(*arguments):
        data = opened(*arguments)
        return replace(data, train=ShuffledRows(data.train))

    monkeypatch.setattr(run, "open_data", shuffled)


def freeze_projection(monkeypatch):
    adapted = adapted_model.apply_lora

    def frozen(*arguments, **options):
        model, coverage = adapted(*arguments, **options)
        for name, parameter in model.named_parameters():
            if "custom_text_proj" in name:
                parameter.requires_grad_(False)
        return model, coverage

    monkeypatch.setattr(adapted_model, "apply_lora", frozen)


def break_loss(monkeypatch, *, at=2):
    compute = ColInternTrainer.compute_loss

    def broken(self, *arguments, **options):
        loss = compute(self, *arguments, **options)
        return loss * float("nan") if self.state.global_step == at else loss

    monkeypatch.setattr(ColInternTrainer, "compute_loss", broken)


def explode_gradients(monkeypatch, *, since=20):
    compute = ColInternTrainer.compute_loss

    def exploding(self, *arguments, **options):
        loss = compute(self, *arguments, **options)
        if torch.is_grad_enabled() and self.state.global_step >= since:
            # The same value with a thousandfold gradient.
            return loss + 999 * (loss - loss.detach())
        return loss

    monkeypatch.setattr(ColInternTrainer, "compute_loss", exploding)
