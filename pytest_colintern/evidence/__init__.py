"""The evidence that rules may ask for, one module a kind of artefact."""
