"""PRJ: a healthy projection, broken in one way."""

from builders.adapter import PREFIX, PROJECTION, TARGETS, base_tensors, write_adapter

from cases.case import Case

ON_PROJECTION = {"target_modules": f"{TARGETS}|{PROJECTION}", "modules_to_save": None}


def _lost(run):
    write_adapter(run, config=ON_PROJECTION, projection="lora", base={"projection": False})


def _kept_by_base(run):
    write_adapter(run, config=ON_PROJECTION, projection="lora")


def _as_in_base(tensors):
    tensors[f"{PREFIX}{PROJECTION}.weight"] = base_tensors()[f"{PROJECTION}.weight"]


CASES = {
    "PRJ001": Case(bad=_lost, good=_kept_by_base),
    "PRJ002": Case(bad=lambda run: write_adapter(run, edit=_as_in_base)),
    "PRJ003": Case(bad=lambda run: write_adapter(run, dimension=64)),
}
