"""Evidence of a merged model beside its base and its adapter."""

import os

from colintern.artifacts.files import Enclosure
from colintern.artifacts.printable import printable
from colintern.artifacts.run.layout import MODEL_INDEX, MODEL_WEIGHTS
from colintern.artifacts.tensors.store import TensorStore, read_tensor_store
from colintern.diagnostics.adapter.coverage import AdapterCoverage
from colintern.diagnostics.merge.verification import MergeVerification, verify_merge
from colintern.engine.evidence import sources
from colintern.engine.evidence.family import restacked
from colintern.engine.resolver import evidence
from colintern.engine.subjects import AuditOptions
from colintern.engine.verdict import NoEvidence


@evidence
def merge(
    options: AuditOptions,
    coverage: AdapterCoverage,
    adapter_tensors: TensorStore,
    base_tensors: TensorStore,
) -> MergeVerification:
    """The merged model of `--merged` against base and adapter."""
    if options.merged is None:
        raise NoEvidence(sources.MERGED, needed_for="verifying a merge")
    if coverage.config.layer_replication:
        raise restacked(needed_for="verifying a merge")
    folder = options.merged
    paths = (folder / name for name in (MODEL_WEIGHTS, MODEL_INDEX))
    path = next(filter(os.path.lexists, paths), None)
    if path is None:
        raise NoEvidence(
            sources.MERGED_MODEL,
            what=MODEL_WEIGHTS,
            detail=f"looked in {printable(folder)}",
            needed_for="verifying a merge",
        )
    return verify_merge(
        read_tensor_store(path, Enclosure.around(folder)),
        base_tensors,
        adapter_tensors,
        config=coverage.config,
        tensors=coverage.tensors,
    )
