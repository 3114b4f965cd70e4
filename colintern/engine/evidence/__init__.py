"""What rules may ask for, by name: one module a subject."""
