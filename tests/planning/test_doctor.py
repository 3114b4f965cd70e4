import json
import subprocess
import sys

import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from colintern.cli import main
from colintern.planning.architecture import find_architecture
from colintern.planning.doctor import findings
from colintern.planning.machine import Gpu, Machine, TorchReport, ask_torch
from colintern.planning.memory import GIBIBYTE

VERSIONS = {
    "torch": "2.13.0",
    "torchvision": "0.28.0",
    "transformers": "5.23.0",
    "peft": "0.20.0",
    "colpali-engine": "0.3.18",
    "accelerate": "1.14.0",
    "datasets": "5.2.0",
    "pillow": "12.0",
    "psutil": "7.0",
    "flash-attn": "2.8.3",
}
GPU = Gpu("NVIDIA GeForce RTX 5090", 32607 * 2**20, 600 * 2**20, "580.1", (12, 0))
HEALTHY = Machine(
    python=(3, 12),
    versions=VERSIONS,
    torch=TorchReport("13.0", available=True, error=None),
    gpus=(GPU,),
    memory_bytes=62 * GIBIBYTE,
    free_disk_bytes=600 * GIBIBYTE,
    folder="runs",
)


def without(name):
    return {key: value for key, value in VERSIONS.items() if key != name}


def problems(machine, model="1B"):
    found = findings(machine, find_architecture(model))
    assert all(each.fix for each in found if each.status == "problem")
    return [each for each in found if each.status == "problem"]


def test_a_healthy_machine_has_nothing_to_mend():
    found = findings(HEALTHY, find_architecture("1B"))
    assert {each.status for each in found} == {"ok"}
    (versions,) = [each.observed for each in found if each.name == "versions"]
    assert versions.count("transformers 5.23.0") == 1
    assert any("in batches of 16 takes 8.0 GB" in each.observed for each in found)


@pytest.mark.parametrize(
    ("change", "observed", "fix"),
    [
        ({"python": (3, 10)}, "needs 3.11", "uv venv"),
        ({"versions": without("peft")}, "peft missing", "colintern[train]"),
        ({"versions": {**VERSIONS, "peft": "0.21.0"}}, "peft 0.21.0", "uv pip install 'peft>=0.18"),
        ({"versions": {**VERSIONS, "torch": "2.14.0+cu130"}}, "torch 2.14.0", "torch>="),
        ({"torch": TorchReport(None, False, None)}, "a build for the CPU", "torch-backend"),
        ({"torch": TorchReport("13.0", False, None)}, "does not see the GPU", "torch-backend"),
        (
            {"torch": TorchReport(None, False, "RuntimeError: operator torchvision::nms")},
            "torchvision::nms",
            "--reinstall",
        ),
        ({"gpus": ()}, "none that nvidia-smi lists", "tiny"),
        ({"gpus": (replace(GPU, capability=(7, 5)),)}, "no bf16", "Ampere"),
        ({"gpus": (replace(GPU, used_bytes=28 * GIBIBYTE),)}, "GB are free", "nvidia-smi"),
        ({"gpus": (replace(GPU, memory_bytes=8 * GIBIBYTE),)}, "minimum is 16 GB", "larger"),
        ({"memory_bytes": 16 * GIBIBYTE}, "16 GB, the guide's minimum is 32 GB", "memory"),
        ({"free_disk_bytes": 20 * GIBIBYTE}, "minimum is 100 GB", "free some space near runs"),
    ],
)
def test_each_fault_is_named_with_its_fix(change, observed, fix):
    (problem,) = problems(replace(HEALTHY, **change))
    assert observed in problem.observed
    assert fix in problem.fix


def test_a_base_too_large_is_named():
    small = replace(HEALTHY, gpus=(replace(GPU, memory_bytes=16 * GIBIBYTE),))
    assert "needs 23 GB" in problems(small, "8B")[0].observed
    assert not problems(small, "1B")


@pytest.mark.parametrize(
    ("change", "observed"),
    [
        ({"versions": without("flash-attn")}, "flash-attn is not installed"),
        ({"versions": {**VERSIONS, "colpali-engine": "9.9"}}, "nothing is known"),
        ({"memory_bytes": None}, "does not say"),
        ({"memory_bytes": 40 * GIBIBYTE}, "recommends 64 GB"),
    ],
)
def test_what_is_no_fault_is_only_noted(change, observed):
    machine = replace(HEALTHY, **change)
    found = findings(machine, find_architecture("1B"))
    assert [observed in each.observed for each in found if each.status == "note"] == [True]
    assert not problems(machine)


def test_a_python_that_cannot_be_asked_is_a_report(tmp_path):
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'ImportError: no torch here' >&2\nexit 1\n")
    broken.chmod(0o755)
    assert ask_torch(str(broken)).error == "ImportError: no torch here"
    broken.write_text("#!/bin/sh\necho '{}'\n")
    assert ask_torch(str(broken)).error
    assert ask_torch(str(tmp_path / "absent")).error
    broken.write_text('#!/bin/sh\necho \'{"cuda": null, "available": false, "error": null}\'\n')
    assert ask_torch(str(broken)) == TorchReport(None, available=False, error=None)


def test_the_command_runs_without_torch_in_its_process():
    script = (
        "import sys\nfrom colintern.cli import main\n"
        "try:\n    main(['doctor', '--json'])\nexcept SystemExit as stop:\n    code = stop.code\n"
        "assert not {'torch', 'transformers', 'pytest'} & set(sys.modules)\n"
        "sys.exit(code)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, capture_output=True)
    assert done.returncode in (0, 1), done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "colintern.doctor/1"
    failed = any(each["status"] == "problem" for each in document["findings"])
    assert failed == bool(done.returncode)
    assert {"python", "packages", "RAM", "disk"} <= {each["name"] for each in document["findings"]}


def test_an_unknown_model_is_a_usage_error():
    result = CliRunner().invoke(main, ["doctor", "no-such-model"])
    assert (result.exit_code, "folder with a config.json" in result.output) == (2, True)
