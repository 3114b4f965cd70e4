"""The modules that a configuration builds."""
