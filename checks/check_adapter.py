"""The LoRA adapter: what it was asked to reach, what it reached, and what it belongs to."""

import re
from typing import Final

from colintern.artifacts.adapter_config import AdapterConfig
from colintern.artifacts.base_model import BaseReference
from colintern.artifacts.printable import listed, printable
from colintern.artifacts.run_layout import RunLayout
from colintern.diagnostics.adapter_coverage import AdapterCoverage
from colintern.diagnostics.adapter_faults import (
    disagreements,
    faults_text,
    unknown_layouts,
    unscaled_modules,
)
from colintern.diagnostics.module_outline import ModuleOutline
from colintern.diagnostics.target_matching import declares
from colintern.families import Family
from colintern.guide import Guide
from pytest_colintern import ERROR, INFO, WARNING, NoEvidence, Verdict, rule

SMALL_MODEL: Final = 0.7e9
LARGE_MODEL: Final = 3e9
"""Parameters at which the guide's rank changes, counted truly (design 9)."""

_PINNED: Final = re.compile(r"[0-9a-f]{7,40}|v?\d+(\.\d+){0,3}")


@rule("ADP001", "not-an-adapter", severity=ERROR, explains={"ADP002", "ADP003"})
def check_adapter_is_there(layout: RunLayout, family: Family | None) -> Verdict:
    """The run has no `adapter_config.json`: it was trained without PEFT.

    Why: without `--peft` the whole model is trained at a learning rate meant for LoRA, or nothing
        that can be loaded as an adapter is saved.
    Evidence: the names in the folder whose weights are judged. A merged model is no evidence, and
        neither is a run that nothing shows to be a retriever's.
    Fix: train with `--peft`, or point `--checkpoint` at the folder that holds the adapter.
    Source: the guide, checklist: "PEFT enabled".
    """
    names = layout.weights_folder.names
    found = "adapter_config.json" in names
    weights = sorted(name for name in names if name.endswith((".safetensors", ".bin")))
    if not found and (layout.kind == "merged" or family is None or not weights):
        raise NoEvidence("adapter_config.json", needed_for="whether LoRA was used")
    return Verdict(
        found,
        observed="adapter_config.json is there" if found else f"only {listed(weights, most=3)}",
        expected="adapter_config.json beside the weights",
        where=layout.weights_folder.path,
    )


@rule(
    "ADP002",
    "projection-not-targeted",
    severity=ERROR,
    requires={"ADP001"},
    explains={"PRJ001", "PRJ002", "LOG004", "RES001", "RES002", "RES005"},
)
def check_projection_is_targeted(adapter: AdapterConfig, family: Family) -> Verdict:
    """The projection is in neither `target_modules` nor `modules_to_save`.

    Why: the projection starts at random. Without LoRA on it, and without being trained in full, it
        stays random, and every embedding is a random mixture of the language model's features.
    Evidence: `target_modules` and `modules_to_save`, matched as PEFT does.
    Fix: add the projection to the expression: `...|custom_text_proj`; ColIdefics3 calls it
        `linear`.
    Source: the guide, checklist: "Target modules include custom_text_proj"; failure-modes B05.
    """
    declared = declares(adapter, family.projection)
    if declared is None:
        raise NoEvidence("a pattern that can be tried safely", needed_for="what LoRA targets")
    entries = listed(list(adapter.target_entries), most=3) or "nothing"
    return Verdict(
        declared,
        observed=f"{family.projection} is named" if declared else f"only {entries}",
        expected=f"{family.projection} of {family.name} in target_modules or modules_to_save",
        where=adapter.path,
    )


@rule(
    "ADP003",
    "target-matches-nothing",
    severity=ERROR,
    requires={"ADP001"},
    explains={
        "ADP004",
        "ADP012",
        "PRJ002",
        "LOG002",
        "LOG003",
        "LOG004",
        "RES001",
        "RES002",
        "RES005",
    },
)
def check_targets_match(coverage: AdapterCoverage) -> Verdict:
    r"""Entries of `target_modules` match no module, so those layers were not trained.

    Why: PEFT matches a list entry by exact name or dotted suffix, never as a glob; only a string is
        a regular expression. Entries that match nothing are ignored in silence as long as one
        entry matches, and the run finishes without an error at the score of an untrained model.
    Evidence: `target_modules` in adapter_config.json; the modules that adapter_model.safetensors
        has tensors of, and those of the base where its configuration is known.
    Fix: write one regular expression as a string:
        `.*language_model.*\.(q|k|v|o|gate|up|down)_proj|custom_text_proj`.
    Source: PEFT, `check_target_module_exists`; failure-modes B01, B02.
    """
    if not coverage.entries or coverage.problem:
        raise NoEvidence(coverage.problem or "`target_modules`", needed_for="what LoRA targets")
    unmatched, entries = list(coverage.unmatched), len(coverage.entries)
    count = len(coverage.tensors.modules)
    reached = f"LoRA reached {count} module{'s' * (count != 1)}"
    guilty = f"{len(unmatched)} of {entries} entries match nothing: {listed(unmatched, most=2)}"
    return Verdict(
        not unmatched,
        observed=f"{guilty}; {reached}" if unmatched else f"every entry matches; {reached}",
        expected="every entry matches at least one module",
        where=coverage.config.path,
    )


@rule(
    "ADP004",
    "incomplete-coverage",
    severity=ERROR,
    requires={"ADP001"},
    explains={"ADP009", "LOG004", "RES001", "RES002"},
)
def check_language_model_is_covered(
    coverage: AdapterCoverage, outline: ModuleOutline, family: Family
) -> Verdict:
    """Layers or projections of the language model have no LoRA.

    Why: the recipe adapts every attention and feed-forward projection of every layer; a layer that
        was passed over keeps the features of a model that writes text. Hybrid models name the
        projections of some layers differently, so a copied pattern misses them. In a family other
        than ColIntern, what the configuration leaves out on purpose is a warning.
    Evidence: modules with LoRA tensors; the modules that follow from the base's configuration.
    Fix: name every linear module of the language model in `target_modules`; in Qwen3.5 also
        `in_proj_qkv`, `in_proj_z`, `in_proj_b`, `in_proj_a` and `out_proj`.
    Source: the guide, LoRA configuration; failure-modes B03; PEFT issues 3554 and 3658.
    """
    missing, expected = len(coverage.language_missing), coverage.language_expected
    lenient = coverage.is_deliberate and not family.follows_guide
    kinds = listed(
        [f"{kind} in {n} layers" for kind, n in coverage.missing_by_kind.items()], most=3
    )
    return Verdict(
        not missing,
        observed=f"{expected - missing} of {expected} modules"
        + (f"; without LoRA: {kinds}" if missing else ""),
        expected=f"LoRA on all {expected} linear modules of {outline.num_layers} layers",
        where=coverage.path,
        severity=WARNING if lenient else ERROR,
    )


@rule("ADP005", "vision-tower-adapted", severity=INFO, requires={"ADP001"})
def check_vision_tower_is_left(coverage: AdapterCoverage, family: Family) -> Verdict:
    r"""LoRA is on modules of the vision tower, which the family's recipes leave alone.

    Why: a list of plain suffixes such as `q_proj` also matches the vision tower. That costs memory
        and time; whether it costs quality nobody has shown.
    Evidence: names of the modules with LoRA tensors.
    Fix: restrict the expression to the language model: `.*language_model.*\.(q|k|v|o)_proj`.
    Source: failure-modes B04: a suffix list also catches 72 modules of InternViT.
    """
    adapted = coverage.vision_modules
    return Verdict(
        not adapted,
        observed=f"{len(adapted)} modules of the vision tower"
        + (f": {listed(adapted, most=1)}" if adapted else ""),
        expected=f"the language model only, as in the recipes of {family.name}",
        where=coverage.path,
    )


@rule(
    "ADP006",
    "rank-off-target",
    severity=WARNING,
    requires={"ADP001"},
    explains={"ADP014"},
)
def check_rank_fits_size(
    adapter: AdapterConfig, outline: ModuleOutline, family: Family, guide: Guide
) -> Verdict:
    """The rank is not the guide's for a base of this size.

    Why: too low a rank cannot hold the change, too high a one costs memory. The guide's figures are
        for ColIntern; other families are no evidence.
    Evidence: `r` in adapter_config.json; the base's parameters, counted from its configuration.
    Fix: rank 16 below 0.7 billion parameters, 32 up to 3 billion, 64 above.
    Source: the guide, LoRA configuration; design 9 for the sizes.
    """
    if not family.follows_guide:
        raise NoEvidence("a rank for this family in the guide", needed_for="judging the rank")
    size = outline.num_parameters
    bands = (guide.rank_small, guide.rank_medium, guide.rank_large)
    expected = bands[(size >= SMALL_MODEL) + (size > LARGE_MODEL)]
    return Verdict(
        adapter.r == expected,
        observed=f"rank {adapter.r} for a base of {size:,} parameters",
        expected=f"rank {expected}",
        where=adapter.path,
    )


@rule("ADP007", "alpha-not-rank", severity=WARNING, requires={"ADP001"})
def check_alpha_equals_rank(coverage: AdapterCoverage, family: Family) -> Verdict:
    """The update is scaled by something other than one: `lora_alpha` differs from the rank.

    Why: the scale multiplies every update, so it multiplies the learning rate that the recipe was
        tuned for. With `use_rslora` the scale is alpha / sqrt(r). Outside ColIntern it is a note.
    Evidence: `lora_alpha`, `r`, `alpha_pattern`, `rank_pattern`, `use_rslora`.
    Fix: set `lora_alpha` to `r` (to the square root of `r` with `use_rslora`).
    Source: the guide, LoRA configuration: "Keep equal to rank".
    """
    config = coverage.config
    unscaled = unscaled_modules(config, coverage.tensors)
    if unscaled is None:
        raise NoEvidence("a pattern that can be tried safely", needed_for="the scale of LoRA")
    kind = " with use_rslora" if config.use_rslora else ""
    return Verdict(
        not unscaled,
        observed=f"alpha {config.lora_alpha:g}, rank {config.r}{kind}"
        + (f"; {len(unscaled)} modules off: {listed(unscaled, most=1)}" if unscaled else ""),
        expected="a scale of 1 on every module",
        where=config.path,
        severity=WARNING if family.follows_guide else INFO,
    )


@rule("ADP008", "dropout-off-guide", severity=INFO, requires={"ADP001"})
def check_dropout_is_guides(adapter: AdapterConfig, family: Family, guide: Guide) -> Verdict:
    """LoRA's dropout is not the guide's.

    Why: the recipe was tuned with it; without dropout a small data set is learned by heart sooner.
    Evidence: `lora_dropout` in adapter_config.json.
    Fix: `lora_dropout=0.1`.
    Source: the guide, LoRA configuration; every configuration of colpali-engine has 0.1.
    """
    return Verdict(
        abs(adapter.lora_dropout - guide.lora_dropout) < 1e-9,
        observed=f"dropout {adapter.lora_dropout:g}",
        expected=f"dropout {guide.lora_dropout:g} for {family.name}",
        where=adapter.path,
    )


@rule(
    "ADP009",
    "tensors-disagree-with-config",
    severity=ERROR,
    requires={"ADP001"},
    explains={"ADP006", "ADP012", "PRJ001", "PRJ002"},
)
def check_tensors_fit_config(coverage: AdapterCoverage) -> Verdict:
    """The tensors are not those that the configuration describes.

    Why: PEFT builds the adapter from the configuration and then loads what fits by name and shape.
        A missing partner or an undeclared module is dropped with a warning at most; another rank or
        scale is an error, or worse, another model.
    Evidence: names and shapes in adapter_model.safetensors; `r`, `rank_pattern`, `target_modules`
        and `modules_to_save` in adapter_config.json; shapes of the base where they are known.
    Fix: keep the two files that one `save_pretrained` wrote; do not edit either by hand.
    Source: failure-modes B10, B14; PEFT, `set_peft_model_state_dict`.
    """
    faults = disagreements(coverage)
    pairs = len(coverage.tensors.pairs)
    return Verdict(
        not faults,
        observed=faults_text(faults) or f"{pairs} pairs of rank {coverage.config.r} as configured",
        expected="A and B of the configured rank on every targeted module, and nothing else",
        where=coverage.path,
    )


@rule("ADP015", "base-not-resolvable", severity=WARNING, up_to=ERROR, requires={"ADP001"})
def check_base_is_resolvable(base_reference: BaseReference, adapter: AdapterConfig) -> Verdict:
    """The recorded base cannot be found by anybody else, or is itself an adapter.

    Why: loading starts from `base_model_name_or_path`. A path of the training machine leads nowhere
        on another; an adapter as base means that the new one holds only a second change.
    Evidence: `base_model_name_or_path` in adapter_config.json; the folder that it or `--base` leads
        to. A Hub id that is not in the local cache is no evidence.
    Fix: write the Hub id of the base into adapter_config.json; merge the first adapter before
        training a second one on it.
    Source: failure-modes B08, B09; colpali issues 171, 281 and 282.
    """
    found, stacked = base_reference.folder is not None, base_reference.is_adapter
    name = printable(base_reference.recorded or "no base", limit=120)
    if not found and base_reference.is_hub_id:
        raise NoEvidence(f"{name} in the local Hub cache", needed_for="whether the base is whole")
    state = "holds an adapter" if stacked else "is here" if found else "is not on this machine"
    return Verdict(
        found and not stacked,
        observed=f"{name} {state}",
        expected="a Hub id, or a folder with a whole model",
        where=adapter.path,
        severity=ERROR if stacked else WARNING,
    )


@rule("ADP016", "base-not-pinned", severity=INFO, requires={"ADP001"})
def check_base_is_pinned(adapter: AdapterConfig, base_reference: BaseReference) -> Verdict:
    """The base's revision is not recorded.

    Why: a repository can change under its name; with it the adapter's results.
    Evidence: `revision` in adapter_config.json. A base that is a folder has none: no evidence.
    Fix: load the base with `revision=COMMIT`; PEFT then records it.
    Source: failure-modes B08; 26 of 189 public adapters hold a placeholder instead.
    """
    if not base_reference.is_hub_id:
        raise NoEvidence("a base on the Hub", needed_for="whether its revision is pinned")
    revision = adapter.revision or ""
    return Verdict(
        _PINNED.fullmatch(revision) is not None,
        observed=f"revision {printable(revision, limit=60)}" if revision else "no revision",
        expected="a commit hash or a version",
        where=adapter.path,
    )


@rule(
    "ADP017",
    "key-layout-unknown",
    severity=ERROR,
    requires={"ADP001"},
    explains={"RES001", "RES005"},
)
def check_keys_can_be_loaded(coverage: AdapterCoverage, family: Family | None) -> Verdict:
    """Tensor names follow no layout that PEFT and transformers load: LoRA would be dropped.

    Why: keys that match no module are skipped with a warning, and the model works without the
        adapter. It happens after `torch.compile`, with an adapter on an adapter, and with names
        that neither old nor new versions of transformers use.
    Evidence: prefixes of the names in adapter_model.safetensors; for a known family also what
        stands before `layers.N`.
    Fix: save with `model.save_pretrained` of the unwrapped PEFT model; rename the keys otherwise.
    Source: failure-modes B06, B09; colpali issue 424; PEFT issues 2566 and 2699.
    """
    unknown = unknown_layouts(coverage.tensors, judge_layers=family is not None)
    return Verdict(
        not unknown,
        observed=f"{len(unknown)} names: {listed(unknown, most=1)}"
        if unknown
        else f"{len(coverage.tensors.modules)} modules under known names",
        expected="base_model.model. and a known place before layers.N",
        where=coverage.path,
    )


@rule("ADP018", "wrong-task-type", severity=INFO, requires={"ADP001"})
def check_task_is_feature_extraction(adapter: AdapterConfig, family: Family) -> Verdict:
    """The adapter's task is not feature extraction.

    Why: `CAUSAL_LM` wraps `generate` and treats labels; a retriever has neither.
    Evidence: `task_type` in adapter_config.json.
    Fix: `task_type="FEATURE_EXTRACTION"`.
    Source: failure-modes B16; every configuration of colpali-engine.
    """
    task = printable(adapter.task_type or "none", limit=60)
    return Verdict(
        adapter.task_type == "FEATURE_EXTRACTION",
        observed=f"task type {task}",
        expected=f"FEATURE_EXTRACTION for {family.name}",
        where=adapter.path,
    )
