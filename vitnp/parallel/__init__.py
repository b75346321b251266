"""One step on many cores: micro-batches over threads. It knows no recipe and no files."""
