"""What is bundled: figures, the tiny base and the demo runs."""
