"""ColIntern3.5: the model, its processor, its adapter, and loading both."""
