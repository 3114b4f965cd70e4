"""JSON documents, read within limits, and what is wrong with them."""
