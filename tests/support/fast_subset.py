"""Which tests `pytest -m "not slow"` leaves out, and why."""

import re
from functools import cache

FAST = "not slow"

MODULES = {
    "it imports the training stack, which takes seconds": re.compile(
        r'^(?:import |from |(?:\w+ = )?pytest\.importorskip\(")'
        r"(?:torch|transformers|peft|mteb|optuna|datasets|colpali_engine)\b",
        re.MULTILINE,
    ),
    "it starts processes, each of which imports all anew": re.compile(
        r"^(?:import|from) subprocess\b", re.MULTILINE
    ),
}
FIXTURES = {
    "pytester": "it runs whole audits through pytest",
    "browser": "it starts a browser",
    "corpus": "it reads public runs, most of them large",
}


@cache
def why_module_is_slow(path):
    """Read, not imported: importing a module is what takes so long."""
    text = path.read_text(encoding="utf-8")
    return next((why for why, pattern in MODULES.items() if pattern.search(text)), None)


def why_slow(item):
    if item.get_closest_marker("acceptance"):
        return "it is a long proof"
    if getattr(item.function, "is_hypothesis_test", False):
        return "it tries hundreds of examples"
    if "importorskip" in item.function.__code__.co_names:
        return "it imports what is not always installed, which takes seconds"
    fixtures = (why for name, why in FIXTURES.items() if name in item.fixturenames)
    return why_module_is_slow(item.path) or next(fixtures, None)
