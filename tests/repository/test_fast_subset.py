import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.fast_subset import FAST, why_module_is_slow

REPOSITORY = Path(__file__).parents[2]

PROBE = """
import sys, pytest
code = pytest.main(["tests", "-q", "-p", "no:cacheprovider", "--collect-only", "-m", sys.argv[1]])
print("TORCH" if "torch" in sys.modules else "NO TORCH", code)
"""


def test_the_fast_subset_is_large_and_imports_no_torch():
    done = subprocess.run(
        [sys.executable, "-c", PROBE, FAST],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[-2] == "NO TORCH 0", done.stdout[-2_000:]
    assert int(re.search(r"(\d+)(?:/\d+)? tests collected", done.stdout)[1]) >= 1_500


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ('torch = pytest.importorskip("torch")', "training stack"),
        ('pytest.importorskip("transformers")', "training stack"),
        ("from peft import LoraConfig", "training stack"),
        ("import subprocess", "starts processes"),
        ("from torchlight import beam", None),
        ("    import torch", None),
    ],
)
def test_a_module_is_slow_by_what_it_imports(tmp_path, line, why):
    path = tmp_path / "test_it.py"
    path.write_text(f"import pytest\n\n{line}\n")
    found = why_module_is_slow(path)
    assert found is None if why is None else why in found
