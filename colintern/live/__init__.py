"""Evidence of the loaded model, for the audit with `--live`."""
