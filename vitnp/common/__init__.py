"""Files, random numbers, progress, command lines: what knows of no network."""
