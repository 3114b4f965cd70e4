"""ENV: versions that do not fit, and runs that cannot be repeated."""

from builders.manifest import write_manifest

from cases.case import Case

CASES = {
    "ENV001": Case(
        bad=lambda run: write_manifest(run, versions={"transformers": "4.51.3"}), outcome="warned"
    ),
    "ENV002": Case(bad=lambda run: write_manifest(run, git_commit=None), outcome="noted"),
}
