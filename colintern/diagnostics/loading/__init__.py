"""What a loader would do with a folder: what it finds, drops, refuses or draws at random."""
