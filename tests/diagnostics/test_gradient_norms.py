import numpy as np
import pytest

from colintern.diagnostics.log import gradient_norms
from colintern.diagnostics.log.noise import median


@pytest.mark.parametrize("length", [1, 49, 50, 51, 99, 100, 101, 149, 230, 1_001])
def test_block_medians_are_those_of_each_block(length):
    values = np.random.default_rng(length).standard_normal(length)
    num_blocks = max(1, length // gradient_norms._BLOCK_ROWS)
    blocks = np.array_split(values, num_blocks)
    expected = np.concatenate([np.full(len(block), median(block)) for block in blocks])
    assert gradient_norms._block_medians(values) == pytest.approx(expected)
