"""Measurements of a processor and its tokenizer."""
