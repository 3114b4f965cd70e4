"""The load plan against the loaders themselves: PEFT, transformers, and the family's class."""

import json
import shutil

import pytest
import torch
from builders.mutated_models import ADAPTERS, MODELS, combined
from builders.tiny_model import guide_lora, write_base
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from support.adapter_judging import judge_adapter
from support.real_loaders import (
    PREFIX,
    ask_family_class,
    ask_peft,
    ask_plain_class,
    ask_transformers,
    plain,
)
from support.tiny_families import write_family

from colintern.artifacts.errors import ArtifactError
from colintern.artifacts.model.adapter_config import read_adapter_config
from colintern.artifacts.model.model_config import read_model_config
from colintern.artifacts.tensors.store import read_tensor_store
from colintern.diagnostics.loading.adapter_plan import plan_adapter
from colintern.diagnostics.loading.base_modules import base_modules
from colintern.diagnostics.loading.model_plan import plan_model
from colintern.families.catalogue import family_named
from colintern.families.outline.modules import outline_of
from colintern.model.modeling import ColIntern3_5

pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Could not find a config file in:UserWarning"),
]

FAMILY = family_named("ColIntern-tiny")
TARGETS = r".*language_model.*\.(q|k|v|o|gate|up|down)_proj"
KINDS = {
    "head saved": {"modules_to_save": ["custom_text_proj"]},
    "head with LoRA": {"target_modules": f"{TARGETS}|custom_text_proj"},
    "DoRA": {"modules_to_save": ["custom_text_proj"], "use_dora": True},
}
SAME = 2e-2
"""Largest difference between vectors of length 1 that a type of 16 bits explains."""
SAMPLE = 30


class Places:
    """Healthy models of every kind, and room for broken copies."""

    def __init__(self, root):
        self.root = root
        self.base = write_base(root / "base")
        self.store = read_tensor_store(self.base / "model.safetensors", None)
        config = read_model_config(self.base / "config.json", None)
        self.modules = base_modules(outline_of(config), self.store, FAMILY, config)
        for kind, settings in KINDS.items():
            self._write_adapter(root / kind, settings)
        adapted = PeftModel.from_pretrained(self.plain_model(), root / "head saved")
        adapted.merge_and_unload().save_pretrained(root / "merged")

    def plain_model(self):
        return ColIntern3_5.from_pretrained(self.base)

    def _write_adapter(self, folder, settings):
        torch.manual_seed(1)
        lora = guide_lora(rank=4, alpha=4)
        values = {"r": lora.rank, "lora_alpha": lora.alpha, "target_modules": TARGETS}
        task = {"task_type": "FEATURE_EXTRACTION", "lora_dropout": lora.dropout}
        adapted = get_peft_model(self.plain_model(), LoraConfig(**{**values, **task, **settings}))
        for name, parameter in adapted.named_parameters():
            if "lora_B" in name or "modules_to_save" in name:
                torch.nn.init.normal_(parameter, std=0.05)
        adapted.save_pretrained(folder)
        document = json.loads((folder / "adapter_config.json").read_text())
        document["base_model_name_or_path"] = str(self.base)
        (folder / "adapter_config.json").write_text(json.dumps(document))

    def broken(self, kind, mutation, weights, config):
        folder = self.root / "broken"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.root / kind, folder)
        document = json.loads((folder / config).read_text())
        tensors = mutation(load_file(folder / weights), document)
        (folder / config).write_text(json.dumps(document))
        whole = {name: value.contiguous().clone() for name, value in tensors.items()}
        save_file(whole, folder / weights, metadata={"format": "pt"})
        return folder


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    return Places(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def healthy(places):
    """What each loader makes of the unbroken models."""
    found = {}
    for kind in KINDS:
        found[kind, "PEFT"] = ask_peft(places.base, places.root / kind).output
        found[kind, "transformers"] = ask_transformers(places.base, places.root / kind).output
    found["merged", "class"] = ask_family_class(places.root / "merged").output
    return found


def adapter_mistakes(places, healthy, kind, mutation):
    """What the plan of one broken adapter says otherwise than the loaders, in words."""
    folder = places.broken(kind, mutation, "adapter_model.safetensors", "adapter_config.json")
    entries = read_tensor_store(folder / "adapter_model.safetensors", None).entries
    try:
        config = read_adapter_config(folder / "adapter_config.json", None)
        plans = plan_adapter(config, entries.values(), places.modules)
    except ArtifactError:
        plans = None
    asked = (ask_peft, ask_transformers)
    answers = {
        loader: ask(places.base, folder)
        for loader, ask in zip(("PEFT", "transformers"), asked, strict=True)
    }
    for plan in plans or ():
        yield from plan_mistakes(plan, answers[plan.loader])
    changed = [
        loader
        for loader, answer in answers.items()
        if is_changed(answer, healthy[kind, loader], healthy[kind, "PEFT"])
    ]
    if changed and not findings(folder, base=None):
        yield f"{', '.join(changed)}: another output without a finding"


def plan_mistakes(plan, answer):
    if plan.is_refused is not bool(answer.error):
        yield f"{plan.loader}: refused is {plan.is_refused}, but {answer.error or 'it loads'}"
    elif not answer.error:
        missing = {plain(str(name)) for name in plan.missing}
        unexpected = {plain(name) for name in plan.unexpected}
        yield from difference(f"{plan.loader} misses", missing, answer.missing)
        yield from difference(f"{plan.loader} drops", unexpected, answer.unexpected)


def difference(what, planned, real):
    if planned != real:
        yield f"{what} also {sorted(real - planned)[:3]}, but not {sorted(planned - real)[:3]}"


def is_changed(answer, before, reference):
    """Whether a load that raised nothing gives other vectors than the healthy model."""
    if answer.output is None:
        return bool(answer.error)
    if before.shape != answer.output.shape or not torch.isfinite(answer.output).all():
        return True
    largest = min((answer.output - each).abs().max() for each in (before, reference))
    return bool(largest > SAME)


def findings(folder, **options):
    """The rules on adapters and heads that say something is wrong."""
    outcomes = judge_adapter(folder, family=FAMILY.name, **options)
    quiet = {"ok", "no evidence"}
    always = {"ADP001", "ADP006", "ADP008", "ADP015", "ADP016", "ADP018"}
    return {
        rule: text
        for rule, (outcome, text) in outcomes.items()
        if outcome not in quiet and rule not in always
    }


def model_mistakes(places, healthy, mutation):
    """What the plan of one broken whole model says otherwise than its class, in words."""
    folder = places.broken("merged", mutation, "model.safetensors", "config.json")
    config = read_model_config(folder / "config.json", None)
    entries = read_tensor_store(folder / "model.safetensors", None).entries
    words = config.text.vocab_size
    outline = outline_of(config)
    plan = plan_model(entries, outline, FAMILY, places.store.entries, vocabulary=words)
    answer = ask_family_class(folder)
    if answer.error:
        if not (plan.mismatched or any(0 in entry.shape for entry in entries.values())):
            yield f"it loads by the plan, but {answer.error}"
    else:
        lost = {plain(name) for name in (*plan.wrapped, *plan.unexpected)}
        missing = {plain(name) for name in plan.missing}
        yield from difference("the class draws", missing, answer.missing)
        ignored = {"lm_head.weight", "stranger.weight"}
        yield from difference("the class drops", lost - ignored, answer.unexpected - ignored)
    if is_changed(answer, *[healthy["merged", "class"]] * 2) and not findings(folder):
        yield "another output without a finding"


def cases():
    """All cases by name; at least 400, each other than the rest."""
    for kind in KINDS:
        for mutation in ADAPTERS:
            yield f"{kind}: {mutation.name}", "adapter", (kind, mutation)
    for mutation in combined(ADAPTERS, 100):
        yield f"two: {mutation.name}", "adapter", ("head saved", mutation)
    for mutation in (*MODELS, *combined(MODELS, 60)):
        yield f"merged: {mutation.name}", "model", (mutation,)


CASES = {name: (kind, arguments) for name, kind, arguments in cases()}


def mistakes_of(places, healthy, name):
    kind, arguments = CASES[name]
    judge = adapter_mistakes if kind == "adapter" else model_mistakes
    return [f"{name}: {text}" for text in judge(places, healthy, *arguments)]


@pytest.mark.parametrize("name", list(CASES)[:: len(CASES) // SAMPLE])
def test_a_plan_says_what_the_loaders_do(places, healthy, name):
    assert mistakes_of(places, healthy, name) == []


@pytest.mark.acceptance
def test_all_plans_say_what_the_loaders_do(places, healthy):
    assert len(CASES) >= 400
    mistakes = [text for name in CASES for text in mistakes_of(places, healthy, name)]
    assert mistakes == []


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_said_of_what_peft_saved(places, kind):
    assert set(findings(places.root / kind)) <= ({"ADP023"} if kind == "DoRA" else set())


def test_a_plain_class_ignores_the_head(places):
    answer = ask_plain_class(places.root / "merged")
    assert answer.unexpected == {"custom_text_proj.weight", "custom_text_proj.bias"}
    assert answer.missing == set()
    assert PREFIX not in "".join(answer.unexpected)


@pytest.mark.parametrize("name", ["ColQwen2", "ColIdefics3", "ColPali"])
def test_nothing_is_said_of_other_families(tmp_path, name):
    run = write_family(tmp_path, name)
    base = tmp_path / f"{name.lower()}-base"
    for folder, options in ((run, {}), (run, {"base": base}), (base, {})):
        outcomes = judge_adapter(folder, family=name, **options)
        assert {outcomes[rule][0] for rule in ("ADP010", "ADP023", "ADP024")} == {"ok"}
