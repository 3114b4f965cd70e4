"""The audit of a run that is still training."""
