import time

import pytest

from colintern.diagnostics.adapter.safe_pattern import safe_pattern

NAME = "model.language_model.layers.3.self_attn.k_proj"
COLPALI = (
    "(.*(language_model).*(down_proj|gate_proj|up_proj|k_proj|q_proj|v_proj|o_proj).*$"
    "|.*(custom_text_proj).*$)"
)
COLQWEN3 = "(.*(model)(?!.*visual).*(down_proj|gate_proj|k_proj).*$|.*(custom_text_proj).*$)"
UNSLOTH = (
    r"(?:.*?(?:vision|image|visual|patch|language|text).*?(?:self_attn|attention|attn|mlp).*?"
    r"(?:k_proj|v_proj|q_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn)\.(?:(?:k_proj)))"
)


@pytest.mark.parametrize("pattern", [COLPALI, COLQWEN3, UNSLOTH, r".*\.(q|k|v|o)_proj"])
def test_patterns_in_use_are_tried(pattern):
    assert safe_pattern(pattern).problem is None
    assert safe_pattern(pattern).fullmatch(NAME) is True
    assert safe_pattern(pattern).fullmatch("visual.blocks.0.attn.qkv") is False


@pytest.mark.parametrize(
    "pattern",
    [
        "(a*)*b",
        "(a+)+$",
        "(a|a)*b",
        "(a|ab)*c",
        "a?" * 40 + "a" * 40,
        "(a|a)" * 40 + "b",
        ".*" * 12 + "x",
        r"(.*)\1",
        "(",
        "(" * 4_000,
        "[" * 5_000,
        "(x{1000}){1000}",
        "(?:" * 900 + "a" + ")*" * 900,
        "a{3,2}",
    ],
)
def test_dangerous_patterns_are_refused(pattern):
    start = time.process_time()
    assert safe_pattern(pattern).fullmatch("a" * 60) is None
    assert safe_pattern(pattern).problem
    assert time.process_time() - start < 1


def test_slow_but_bounded_pattern_stops():
    pattern = safe_pattern(".*.*.*.*.*x")
    start = time.process_time()
    results = {pattern.fullmatch("a" * length) for length in range(20, 400)}
    assert None in results
    assert time.process_time() - start < 5
