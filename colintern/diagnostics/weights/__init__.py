"""Measurements of weights."""
