"""The audit as text, JSON, Markdown, SARIF and HTML."""
