"""Fixtures of our own tests; warnings are errors here and only here."""

import os
import shutil
from pathlib import Path

import hypothesis
import pytest
from builders.healthy_run import write_healthy_run
from support.fast_subset import FAST, why_module_is_slow, why_slow

if "PYTEST_XDIST_WORKER" in os.environ:
    # One worker a core: threads of torch would only wait for each other.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

pytest_plugins = ["pytester"]

# A busy machine is no failure: examples have no deadline of their own.
hypothesis.settings.register_profile(
    "colintern", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("colintern")

REPOSITORY = Path(__file__).parent.parent


def pytest_ignore_collect(collection_path, config):
    # Not deselected later: to collect a module is to import it, torch and all.
    if config.option.markexpr != FAST or collection_path.suffix != ".py":
        return None
    is_test = collection_path.name.startswith("test_")
    return True if is_test and why_module_is_slow(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    for item in items:
        item.add_marker(pytest.mark.filterwarnings("error"), append=False)
        if (why := why_slow(item)) is not None:
            item.add_marker(pytest.mark.slow(why))
    if not config.option.markexpr and not any("::" in name for name in config.args):
        # Long proofs run when they are asked for: by `-m acceptance` or by name.
        long = [item for item in items if item.get_closest_marker("acceptance")]
        items[:] = [item for item in items if item not in long]
        config.hook.pytest_deselected(items=long)


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path_factory.getbasetemp() / "empty-hub-cache"))


@pytest.fixture(scope="session")
def healthy_template(tmp_path_factory):
    root = tmp_path_factory.mktemp("healthy")
    write_healthy_run(root / "run")
    return root


@pytest.fixture
def healthy_run(healthy_template, tmp_path):
    copy = tmp_path / "subject"
    shutil.copytree(healthy_template, copy, symlinks=True)
    return copy / "run"


@pytest.fixture(scope="session")
def corpus():
    folder = Path(os.environ.get("COLINTERN_CORPUS", REPOSITORY.parent / "shared" / "corpus"))
    if not folder.is_dir():
        pytest.skip("the corpus of public runs is not on this machine (COLINTERN_CORPUS)")
    return folder


@pytest.fixture(scope="module")
def browser():
    pytest.importorskip("playwright")
    from support.html_reports import CHROMIUM, chromium  # noqa: PLC0415 - only where there is a browser

    if not Path(CHROMIUM).exists():
        pytest.skip(f"no Chromium at {CHROMIUM}")
    with chromium() as running:
        yield running


@pytest.fixture
def tab(browser):
    from support.html_reports import Tab  # noqa: PLC0415 - only where there is a browser

    context = browser.new_context(viewport={"width": 1280, "height": 800})
    yield Tab(context.new_page())
    context.close()
