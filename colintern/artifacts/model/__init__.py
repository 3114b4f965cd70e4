"""What describes a model: adapter, base, processor, tokenizer, card."""
