import re

import pytest
from support.auditing import audit
from support.readme_commands import README


def test_the_healthy_demo_passes_without_a_finding(pytester):
    result = audit(pytester, "--checkpoint", "demo")
    assert result.of_outcome("failed", "warned", "noted", "error") == [], result.output
    assert result.document["verdict"] == "pass"
    assert len(result.of_outcome("passed")) > 60


def test_the_guides_own_recipe_has_one_root_with_its_symptoms(pytester):
    result = audit(pytester, "--checkpoint", "demo:guide-as-written")
    assert result.roots == ["ADP003"]
    symptoms = set(result.document["root_causes"][0]["explains"])
    assert symptoms == set(result.of_outcome("failed", "warned")) - {"ADP003"}


def test_poor_settings_are_named_before_their_symptoms(pytester):
    result = audit(pytester, "--checkpoint", "demo:poor-settings")
    assert set(result.roots) == {"CFG001", "CFG002", "CFG008"}
    assert result.roots[0] == "CFG002"
    assert "CFG004" in result.document["root_causes"][0]["explains"]


def test_the_readme_shows_what_is_printed(pytester):
    block = re.search(r"```console\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)[1]
    shown = block.strip().split("\n")[2:]
    printed = audit(pytester, "--checkpoint", "demo:guide-as-written").output.strip().split("\n")
    assert printed[-len(shown) :] == shown


@pytest.mark.parametrize("name", ["healthy", "guide-as-written", "poor-settings"])
def test_a_demo_run_names_no_machine(name):
    folder = README.parent / "colintern" / "assets" / "demo" / name
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not re.search(rb"/(home|root|tmp|work|Users)/", content), path
