"""What a run recorded of itself: layout, manifest, arguments."""
