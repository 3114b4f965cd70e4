from support.auditing import audit


def test_healthy_run_has_no_finding(pytester, healthy_run):
    result = audit(pytester, "--checkpoint", healthy_run)
    assert result.of_outcome("failed", "warned", "noted", "error") == [], result.output
    assert result.document["verdict"] == "pass"
    assert result.exit_code == 0
