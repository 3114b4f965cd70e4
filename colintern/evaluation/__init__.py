"""Evaluation: embedding, scoring, results in MTEB's form."""
