"""Train, evaluate and audit ColPali-style visual document retrievers."""

__version__ = "0.1.0"
