"""ColIntern3.5: the model, its processor, its LoRA targets, loading and merging."""
