"""Logs as tables of rows."""
