"""Readers: tables of rows, images, the hub."""
