import numpy as np
import pytest

from colintern.evaluation.ranking import ranking_metrics

DISCOUNT_AT_3 = 1 / np.log2(4)


def metrics(scores, relevant):
    return ranking_metrics(
        np.array(scores, dtype=np.float32), [frozenset(pages) for pages in relevant]
    )


def test_answer_at_the_top():
    found = metrics([[0.9, 0.1, 0.2]], [{0}])
    assert {
        found[name] for name in ("ndcg_at_1", "ndcg_at_5", "map_at_5", "recall_at_1", "mrr_at_3")
    } == {1}
    assert found["precision_at_5"] == pytest.approx(0.2)


def test_answer_at_rank_three():
    found = metrics([[0.1, 0.9, 0.2]], [{0}])
    assert found["ndcg_at_1"] == 0
    assert found["ndcg_at_5"] == pytest.approx(DISCOUNT_AT_3, abs=1e-5)
    assert found["mrr_at_5"] == pytest.approx(1 / 3, abs=1e-5)
    assert found["recall_at_1"] == 0
    assert found["recall_at_3"] == 1


def test_mean_over_queries():
    found = metrics([[0.9, 0.1], [0.9, 0.1]], [{0}, {1}])
    assert found["ndcg_at_1"] == 0.5


def test_two_answers():
    found = metrics([[0.9, 0.5, 0.4]], [{0, 2}])
    assert found["recall_at_1"] == 0.5
    assert found["map_at_5"] == pytest.approx((1 + 2 / 3) / 2, abs=1e-5)
    best = 1 + 1 / np.log2(3)
    assert found["ndcg_at_5"] == pytest.approx((1 + DISCOUNT_AT_3) / best, abs=1e-5)


def test_equal_scores_gain_nothing():
    found = metrics([[0.5] * 10], [{0}])
    assert found["ndcg_at_5"] == 0
    assert found["recall_at_10"] == 1


def test_random_scores_are_at_chance():
    generator = np.random.default_rng(0)
    scores = generator.random((4000, 300))
    found = metrics(scores, [{query % 300} for query in range(4000)])
    assert found["ndcg_at_5"] == pytest.approx(2.9485 / 300, abs=0.004)
