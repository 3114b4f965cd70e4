"""What several files state: one value, its source, and who disagrees."""
