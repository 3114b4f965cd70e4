"""The retriever families."""
