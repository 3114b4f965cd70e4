"""Training: recipes, data, trainer, run manifest."""
