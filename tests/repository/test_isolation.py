import json
import subprocess
import sys

import pytest
from support.auditing import CHECKS

HEAVY = ("torch", "transformers", "peft", "mteb", "optuna", "datasets", "pandas", "matplotlib")

PROBE = """
import json, sys, pytest
sys.path.insert(0, {extra!r})
code = pytest.main([{checks!r}, "-q", "-p", "no:cacheprovider", "--checkpoint", {run!r}])
print("MODULES", json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


def modules_after_audit(checks, run, extra=""):
    probe = PROBE.format(checks=str(checks), run=str(run), extra=str(extra))
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, check=True, cwd=run.parent
    )
    line = next(line for line in done.stdout.split("\n") if line.startswith("MODULES "))
    return set(json.loads(line.removeprefix("MODULES ")))


def test_an_audit_imports_nothing_heavy(healthy_run):
    assert modules_after_audit(CHECKS, healthy_run).isdisjoint(HEAVY)


def test_the_isolation_test_can_fail(healthy_run, tmp_path):
    # A stand-in for torch, imported by a check: the probe must see it.
    (tmp_path / "torch.py").write_text("")
    source = (CHECKS / "safety" / "check_safety.py").read_text()
    guilty = tmp_path / "check_guilty.py"
    guilty.write_text(source.replace("SEC", "TEAM") + "\nimport torch\n")
    assert "torch" in modules_after_audit(guilty, healthy_run, extra=tmp_path)


@pytest.mark.parametrize("module", ["pytest_colintern.plugin", "colintern.cli"])
def test_the_entry_points_import_only_what_is_light(module):
    code = f"import sys, {module}; print(sorted(n.partition('.')[0] for n in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    light = {"numpy", "msgspec", "ml_dtypes", "safetensors", "pandas", "torch"}
    assert not [name for name in light if f"'{name}'" in done.stdout]
