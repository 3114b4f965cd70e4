"""Audits the demo run from every way of having ColIntern: plain clone, editable install, wheel.

Each way gets an environment of its own without extras; run by CI, not collected by pytest.
"""

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "peft", "mteb", "optuna", "datasets")


def run(*command, cwd, **environment):
    print("+", *command, flush=True)  # noqa: T201 - a script's output
    subprocess.run(
        [str(part) for part in command], check=True, cwd=cwd, env={**os.environ, **environment}
    )


def environment_at(folder):
    venv.create(folder, with_pip=True)
    return folder / "bin" / "python"


def dependencies():
    """The core's own requirements, without ColIntern itself."""
    import tomllib  # noqa: PLC0415 - a script

    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["dependencies"]


def assert_core_only(python):
    code = f"import importlib.util as u; assert not [m for m in {HEAVY} if u.find_spec(m)]"
    run(python, "-c", code, cwd=REPOSITORY)


def assert_passed(report):
    document = json.loads(report.read_text())
    assert document["verdict"] == "pass", document["counts"]
    assert document["counts"]["passed"] > 20, document["counts"]


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        python = environment_at(folder / "clone")
        run(python, "-m", "pip", "install", "-q", *dependencies(), cwd=folder)
        assert_core_only(python)
        report = folder / "clone.json"
        checks = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        run(*checks, "checks/", "--checkpoint", "demo", f"--audit-json={report}", cwd=REPOSITORY)
        assert_passed(report)

        wheels = folder / "wheels"
        run(python, "-m", "pip", "wheel", "-q", "--no-deps", "-w", wheels, REPOSITORY, cwd=folder)
        for label, target in (
            ("wheel", next(wheels.glob("*.whl"))),
            ("editable", f"-e{REPOSITORY}"),
        ):
            run(
                python,
                "-m",
                "pip",
                "install",
                "-q",
                "--force-reinstall",
                "--no-deps",
                target,
                cwd=folder,
            )
            report = folder / f"{label}.json"
            run(
                folder / "clone" / "bin" / "colintern",
                "audit",
                "demo",
                f"--audit-json={report}",
                cwd=folder,
            )
            assert_passed(report)
            if label == "wheel":
                report = folder / "pyargs.json"
                run(
                    *(*checks, "--pyargs", "pytest_colintern.checks"),
                    *("--checkpoint", "demo", f"--audit-json={report}"),
                    cwd=folder,
                )
                assert_passed(report)
            assert_core_only(python)


if __name__ == "__main__":
    main()
    sys.stdout.write(
        "clone, wheel and editable install: the demo run passes, no heavy package present\n"
    )
