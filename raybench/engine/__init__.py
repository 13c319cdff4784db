"""Runs: what is missing, and the Ray Data stream that does it. The only package that imports ray."""
