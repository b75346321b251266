"""One step on many cores: micro-batches over threads; no recipe, no files."""
