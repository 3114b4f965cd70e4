"""The labels were given by eye; a rule never saw them."""

import csv
import json
import re

import pytest
from support.log_judging import fired, is_broken, judge_log

OWN_RULES = {
    "nan": {"LOG001"},
    "diverged": {"LOG006"},
    "overfit": {"LOG007"},
}


def labelled(corpus):
    with (corpus / "labels.tsv").open(encoding="utf-8", newline="") as table:
        return list(csv.DictReader(table, delimiter="\t"))


def is_snapshot(path):
    return re.search(r"checkpoint-\d+", str(path)) is not None


def judged(path):
    return judge_log(path, checkpoint=is_snapshot(path))


def judged_as_contrastive(path):
    """None where the loss cannot be one: no batch above one, or a level far above its chance."""
    size = json.loads(path.read_text()).get("train_batch_size")
    if not size or size < 2:
        return None
    return judge_log(path, checkpoint=is_snapshot(path), kind="contrastive", candidates=size)


def is_healthy(row):
    return "healthy" in {row["label"], *row["also_acceptable"].split(";")}


def test_no_healthy_run_has_an_error(corpus):
    accused = {}
    for row in labelled(corpus):
        if not is_healthy(row):
            continue
        path = corpus / row["file"]
        for found in (judged(path), judged_as_contrastive(path)):
            if found and (errors := fired(found, "error")):
                accused[row["file"]] = (errors, found)
    assert accused == {}


@pytest.mark.parametrize("label", OWN_RULES)
def test_faulty_runs_get_their_own_rule(corpus, label):
    rows = [
        row for row in labelled(corpus) if row["label"] == label and row["confidence"] == "high"
    ]
    assert rows
    for row in rows:
        assert OWN_RULES[label] <= fired(judged(corpus / row["file"]), "error", "warning"), row


def test_collapse_to_chance_is_called_chance(corpus):
    # A classifier of four classes: no label of high confidence here is of a retriever at chance.
    rows = [row for row in labelled(corpus) if "chance" in row["reason"]]
    assert [(row["label"], row["confidence"]) for row in rows] == [("diverged", "high")]
    path = corpus / rows[0]["file"]
    candidates = int(re.search(r"ln\((\d+)\) chance", rows[0]["reason"])[1])
    for number, is_named in ((candidates, True), (2 * candidates, False)):
        found = judge_log(path, checkpoint=True, kind="contrastive", candidates=number)
        assert ("LOG002" in fired(found, "error")) is is_named


def test_confusion_table_is_printed(corpus, capsys):
    lines = []
    for row in labelled(corpus):
        found = judged(corpus / row["file"])
        parts = (fired(found, severity) for severity in ("error", "warning", "info"))
        shown = " | ".join(",".join(sorted(part)) or "-" for part in parts)
        lines.append(f"{row['label']:12} {row['confidence']:5} {shown}  {row['file'][-60:]}")
    with capsys.disabled():
        print("\nlabel        sure  error | warning | info", *sorted(lines), sep="\n")  # noqa: T201 - the table is the point
    assert len(lines) == len(labelled(corpus))


def test_every_log_of_the_corpus_is_read(corpus):
    """Only Git LFS pointers cannot be; whatever is read is judged without a crash."""
    judged_logs = 0
    paths = [*corpus.glob("trainer_state/*.json"), *corpus.glob("checkpoints/*/trainer_state.json")]
    for path in paths:
        pointer = path.read_bytes().startswith(b"version https://git-lfs")
        assert is_broken(path) == pointer, path
        if not pointer:
            judged(path)
            judged_as_contrastive(path)
            judged_logs += 1
    assert judged_logs > 80


def test_errors_of_the_whole_corpus_are_known(corpus):
    """Each was looked at: a collapse at learning rate 0.01, the same run twice."""
    errors = {
        path.name if path.parent.name == "trainer_state" else path.parent.name: fired(
            found, "error"
        )
        for path in corpus.glob("trainer_state/*.json")
        if not is_broken(path) and fired(found := judged(path), "error")
    }
    assert list(errors.values()) == [{"LOG006"}]
    assert "lr0.01" in next(iter(errors))
