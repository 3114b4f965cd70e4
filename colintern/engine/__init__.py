"""The audit: rules, evidence, judge, verdicts and reports. Knows nothing of pytest."""
