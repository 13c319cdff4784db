"""One file a scorer profile."""
