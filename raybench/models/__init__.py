"""Backends, one file each, and the catalogue of known models."""
