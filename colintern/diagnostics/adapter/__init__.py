"""Measurements of a LoRA adapter."""
