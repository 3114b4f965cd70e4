"""Records into measurements: pure functions, no files, no torch."""
