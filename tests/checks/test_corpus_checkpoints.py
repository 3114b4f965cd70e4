from support.auditing import audit


def test_every_public_checkpoint_has_a_verdict_and_breaks_no_rule(pytester, corpus):
    folders = sorted((corpus / "checkpoints").iterdir())
    arguments = [argument for folder in folders for argument in ("--checkpoint", folder)]
    result = audit(pytester, *arguments)
    assert len(result.document["subjects"]) == len(folders)
    broken = [check for check in result.document["checks"] if check["outcome"] == "error"]
    assert broken == []


def test_public_adapters_are_not_accused_of_their_weights(pytester, corpus):
    folders = sorted((corpus / "checkpoints").iterdir())
    arguments = [argument for folder in folders for argument in ("--checkpoint", folder)]
    result = audit(pytester, *arguments, "--select", "SEC,ADP,PRJ")
    found = {
        (check["subject"], check["rule"])
        for check in result.document["checks"]
        if check["outcome"] in ("failed", "warned")
    }
    untrained = {subject for subject, rule in found if rule == "ADP011"}
    assert {subject for subject in untrained if "checkpoint-1__" not in subject} == set()
    assert {rule for _, rule in found} <= {"ADP011", "ADP015"}
