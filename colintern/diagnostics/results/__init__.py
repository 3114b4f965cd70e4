"""Measurements of evaluation results."""
