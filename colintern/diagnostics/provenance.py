"""What must be recorded so that a run can be repeated."""

import re
from typing import Final

from colintern.artifacts.run_manifest import RunManifest

_COMMIT: Final = re.compile(r"[0-9a-f]{40}")


def missing_provenance(manifest: RunManifest | None, git_hash: str | None) -> list[str]:
    """Name what was not recorded.

    Args:
        manifest: of the run.
        git_hash: content of git_hash.txt, which colpali-engine writes; it may be empty or of
            whatever repository the training was started in.
    """
    missing = [] if manifest else ["the run manifest colintern_run.json"]
    commits = ((manifest.git_commit if manifest else None) or "", git_hash or "")
    if not any(_COMMIT.fullmatch(commit) for commit in commits):
        missing.append("the commit of the training code")
    datasets = (manifest.datasets if manifest else None) or ()
    if not datasets:
        missing.append("the training data")
    elif not all(dataset.revision for dataset in datasets):
        missing.append("the revision of the training data")
    return missing
