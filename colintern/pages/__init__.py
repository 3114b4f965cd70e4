"""A small world of document pages that we generate: offline, deterministic, free of torch."""
