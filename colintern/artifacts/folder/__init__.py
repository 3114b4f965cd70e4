"""What else a folder holds."""
