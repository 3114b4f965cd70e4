"""Figures of a run: measurements in, SVG out, for the audit and the training report."""
