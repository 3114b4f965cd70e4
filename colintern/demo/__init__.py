"""The three runs that tell the story."""
