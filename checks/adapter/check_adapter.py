"""The LoRA adapter: what it was asked to reach, and what it reached."""

from colintern.artifacts.model.adapter_config import AdapterConfig
from colintern.artifacts.printable import listed
from colintern.artifacts.tensors.store import TensorStore
from colintern.diagnostics.adapter.close_targets import close_targets, targets_text
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.adapter.faults import (
    disagreements,
    faults_text,
    fix_of,
    unknown_layouts,
)
from colintern.diagnostics.adapter.safe_pattern import INVALID
from colintern.diagnostics.adapter.targets import declares
from colintern.engine.evidence import sources
from colintern.engine.rule import rule
from colintern.engine.verdict import ERROR, INFO, WARNING, NoEvidence, Verdict
from colintern.families.family import Family
from colintern.families.outline.modules import ModuleOutline


@rule(
    "ADP002",
    "projection-not-targeted",
    severity=ERROR,
    requires={"ADP001"},
    explains={"LIV007", "LIV009", "LOG004", "PRJ001", "PRJ002", "RES001", "RES002", "RES005"},
    live={"start"},
    setting="Projection",
    advice={"load-with-wrapper", "target-modules"},
    satisfies={"target-modules"},
)
def check_projection_is_targeted(adapter: AdapterConfig, family: Family) -> Verdict:
    """The projection is in neither `target_modules` nor `modules_to_save`.

    Why: the projection starts at random. Without LoRA on it, and without being trained in full, it
        stays random, and every embedding is a random mixture of the language model's features.
    Evidence: `target_modules` and `modules_to_save`, matched as PEFT does.
    Fix: add the projection to the expression: `...|custom_text_proj`; ColIdefics3 calls it
        `linear`.
    Source: the guide, checklist: "Target modules include custom_text_proj"; sources B05.
    """
    declared = declares(adapter, family.projection)
    if declared is None:
        raise NoEvidence(
            sources.ADAPTER_CONFIG,
            what="a pattern that can be tried safely",
            needed_for="the modules that LoRA targets",
        )
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
        "ADP009",
        "ADP012",
        "ADP023",
        "LIV004",
        "LIV007",
        "LIV009",
        "LOG002",
        "LOG003",
        "LOG004",
        "PRJ002",
        "REC006",
        "RES001",
        "RES002",
        "RES005",
    },
    setting="LoRA reaches",
    advice={"target-modules"},
    satisfies={"target-modules"},
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
    Source: PEFT, `check_target_module_exists`; sources B01, B02.
    """
    if coverage.problem == INVALID:
        return _unreadable_pattern(coverage)
    if coverage.is_silent:
        raise NoEvidence(
            sources.ADAPTER_WEIGHTS,
            what="a tensor of LoRA",
            needed_for="which modules an entry has reached",
        )
    if not coverage.entries or coverage.problem:
        what = "a pattern that can be tried safely" if coverage.problem else "`target_modules`"
        raise NoEvidence(
            sources.ADAPTER_CONFIG,
            what=what,
            detail=f"found {coverage.problem}" if coverage.problem else "",
            needed_for="the modules that LoRA targets",
        )
    close = close_targets(coverage)
    return Verdict(
        not coverage.unmatched,
        observed=targets_text(coverage, close),
        expected="every entry matches at least one module",
        where=coverage.config.path,
        fix=close[0].fix if close else None,
    )


def _unreadable_pattern(coverage: AdapterCoverage) -> Verdict:
    return Verdict(
        False,
        observed=f"{INVALID} among the modules that LoRA is told of: PEFT cannot read it",
        expected="a regular expression, or a list of module names",
        where=coverage.config.path,
    )


@rule(
    "ADP004",
    "incomplete-coverage",
    severity=ERROR,
    requires={"ADP001"},
    explains={"ADP009", "REC006", "LOG004", "RES001", "RES002"},
    setting="LoRA reaches",
    advice={"target-modules"},
    satisfies={"target-modules"},
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
    Source: the guide, LoRA configuration; sources B03; PEFT issues 3554 and 3658.
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
    Source: sources B04: a suffix list also catches 72 modules of InternViT.
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
    "ADP009",
    "tensors-disagree-with-config",
    severity=WARNING,
    up_to=ERROR,
    requires={"ADP001"},
    explains={
        "ADP006",
        "ADP007",
        "ADP012",
        "LIV006",
        "PRJ001",
        "PRJ002",
        "REC001",
        "REC006",
        "RES007",
    },
    setting="LoRA reaches",
    advice={"load-with-wrapper"},
)
def check_tensors_fit_config(
    coverage: AdapterCoverage, base_tensors: TensorStore | None
) -> Verdict:
    """The tensors are not those that the configuration describes.

    Why: PEFT builds the adapter from the configuration and then loads what fits by name and shape.
        A missing partner or an undeclared module is dropped with a warning at most; another rank or
        scale is an error, or worse, another model.
    Evidence: names and shapes in adapter_model.safetensors; `r`, `rank_pattern`, `target_modules`
        `modules_to_save` and `bias` in adapter_config.json; shapes and biases of the base, where
        known. PEFT 0.20 trains the biases of `bias="lora_only"` and does not save them, which alone
        is a warning.
    Fix: keep the two files that one `save_pretrained` wrote; do not edit either by hand.
    Source: sources B10, B14; PEFT, `set_peft_model_state_dict`.
    """
    faults = disagreements(coverage, base_tensors.entries if base_tensors else ())
    fix = fix_of(faults)
    pairs = len(coverage.tensors.pairs)
    return Verdict(
        not faults,
        observed=faults_text(faults) or f"{pairs} pairs of rank {coverage.config.r} as configured",
        expected="A and B of the configured rank on every targeted module, and nothing else",
        where=coverage.path,
        severity=WARNING if fix else ERROR,
        fix=fix,
        explains=() if fix else None,
    )


@rule(
    "ADP017",
    "key-layout-unknown",
    severity=ERROR,
    requires={"ADP001"},
    explains={
        *("ADP009", "ADP023", "LIV004", "LIV006", "LIV007", "LIV010"),
        *("PRJ002", "REC006", "RES001", "RES005"),
    },
    advice={"load-with-wrapper"},
)
def check_keys_can_be_loaded(coverage: AdapterCoverage, family: Family | None) -> Verdict:
    """Tensor names follow no layout that PEFT and transformers load: LoRA would be dropped.

    Why: keys that match no module are skipped with a warning, and the model works without the
        adapter. It happens after `torch.compile`, with an adapter on an adapter, and with names
        that neither old nor new versions of transformers use.
    Evidence: prefixes of the names in adapter_model.safetensors; for a known family also what
        stands before `layers.N`.
    Fix: save with `model.save_pretrained` of the unwrapped PEFT model; rename the keys otherwise.
    Source: sources B06, B09; colpali issue 424; PEFT issues 2566 and 2699.
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
