"""Pictures of runs, data and networks: what is drawn, and how it is laid out."""
