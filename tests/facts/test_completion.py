import pytest

from colintern.facts.completion import completion, went_on
from colintern.facts.fact import records_of


def judged(step, *, is_complete=False, status=None, checkpoint=None, live=None):
    fact = completion(
        step=step,
        max_steps=500,
        enough=475,
        is_complete=is_complete,
        status=status,
        newest_checkpoint=checkpoint,
        live_step=live,
    )
    found = records_of(fact)
    return found, [witness.source for witness in fact.disagreeing]


@pytest.mark.parametrize(
    ("said", "disagreeing"),
    [
        ({"status": "completed"}, ["colintern_run.json"]),
        ({"status": "interrupted"}, []),
        ({"status": "started"}, []),
        ({"checkpoint": 500}, ["checkpoint-500"]),
        ({"checkpoint": 10}, []),
        ({"checkpoint": 2000}, []),
        ({"live": 490}, ["colintern_live.json"]),
        ({"live": 300}, []),
        ({"status": "completed", "live": 500}, ["colintern_run.json", "colintern_live.json"]),
    ],
)
def test_whoever_says_completed_is_named(said, disagreeing):
    assert judged(11, **said)[1] == disagreeing
    assert judged(500, is_complete=True, **said)[1] == []


def test_early_stopping_is_completion_for_every_record():
    said = {"is_complete": True, "status": "completed", "checkpoint": 480, "live": 480}
    found, disagreeing = judged(300, **said)
    assert (found.agreed, disagreeing) == (True, [])


@pytest.mark.parametrize(
    ("said", "expected"),
    [({"status": "completed"}, False), ({"checkpoint": 500}, True), ({"live": 500}, True)],
)
def test_only_a_later_step_shows_that_the_run_went_on(said, expected):
    assert went_on(judged(11, **said)[0]) is expected
