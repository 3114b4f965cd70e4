"""SVG figures, and the HTML page that holds them."""
