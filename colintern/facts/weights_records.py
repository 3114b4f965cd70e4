"""Which weights these are, by everybody who knows their hash."""

from collections.abc import Iterable

from colintern.artifacts.results.evaluation_record import EVALUATION_RECORD
from colintern.artifacts.run.layout import RUN_MANIFEST
from colintern.facts.fact import Fact, Witness, fact_of

_SHOWN = 12
_KEY = "weights_sha256"


def weights_fact(
    file: str, actual: str, saved: str | None, evaluated: Iterable[str]
) -> Fact[str] | None:
    """Compare the hash of the weights with what training saved; None where nobody recorded that.

    What was evaluated is named beside them and not compared: another rule judges results.

    Args:
        file: name of the weights.
        actual: hash of what is in it.
        saved: hash by the manifest, where it speaks of this file.
        evaluated: hashes by the evaluation records.
    """
    if saved is None:
        return None
    others = (
        Witness(value=each, source=EVALUATION_RECORD, key=_KEY, shown=each[:_SHOWN])
        for each in sorted(set(evaluated))
    )
    return fact_of(
        "sha256 of the weights",
        (
            Witness(value=actual, source=file, shown=actual[:_SHOWN]),
            Witness(value=saved, source=RUN_MANIFEST, key=_KEY, shown=saved[:_SHOWN]),
            *others,
        ),
        lambda file_here, other: other.source != RUN_MANIFEST or file_here.value == other.value,
    )
