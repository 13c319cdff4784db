"""The results page: a small server over a result folder, and the same pages as files."""
