"""Measurements of a training log."""
