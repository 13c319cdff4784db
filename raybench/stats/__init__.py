"""Intervals, paired tests and power: numpy and scipy only."""
