"""What a run is trained by: complete named recipes, and every way to change one. No torch."""
