"""Lets `pytest checks/ --checkpoint PATH` work in a clone before anything is installed."""

pytest_plugins = ["pytest_colintern.plugin"]
