"""How far published figures may differ by rounding, and no further."""

import pytest
from builders.results import task_result, write_json

from colintern.artifacts.files import Enclosure
from colintern.artifacts.results.folder import read_results_folder
from colintern.diagnostics.results.score_validity import score_faults

# Several relevant pages a query: no other rule ties recall to precision.
TASK = "Vidore2ESGReportsHLRetrieval"


ONE_PAGE_A_QUERY = "VidoreArxivQARetrieval"


def kinds(tmp_path, task=TASK, **metrics):
    document = task_result(task, 0.5)
    document["scores"]["test"][0].update(metrics)
    write_json(tmp_path / f"{task}.json", document)
    results = read_results_folder(tmp_path, Enclosure.around(tmp_path))
    return [fault.kind for fault in score_faults(results)]


@pytest.mark.parametrize("metric", ["recall", "map", "mrr"])
@pytest.mark.parametrize(("fall", "faults"), [(0.00009, []), (0.00011, ["falling"]), (-0.1, [])])
def test_fall_beyond_rounding_is_a_fault(tmp_path, metric, fall, faults):
    at = {f"{metric}_at_{k}": 0.5 for k in (1, 3, 5)}
    later = {f"{metric}_at_{k}": 0.5 - fall for k in (10, 20)}
    rest = {f"{metric}_at_{k}": 0.9 for k in (100, 1000)}
    assert kinds(tmp_path, **at, **later, **rest) == faults


def test_ndcg_may_fall(tmp_path):
    assert kinds(tmp_path, ndcg_at_20=0.1) == []


@pytest.mark.parametrize(
    ("task", "excess", "faults"),
    [
        (ONE_PAGE_A_QUERY, 0.000005, []),
        (ONE_PAGE_A_QUERY, 0.00001, ["disagreeing"]),
        (ONE_PAGE_A_QUERY, -0.00001, ["disagreeing"]),
        (TASK, 0.00001, []),
    ],
)
def test_precision_agrees_with_recall(tmp_path, task, excess, faults):
    assert kinds(tmp_path, task, precision_at_10=0.05 + excess) == faults
