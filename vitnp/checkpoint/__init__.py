"""Weights on disk: one file a layout."""
