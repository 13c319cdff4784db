"""Readers of model output: they see the text and the question, never the target."""
