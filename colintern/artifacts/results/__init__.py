"""Evaluation results, in every layout."""
