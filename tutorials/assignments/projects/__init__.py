"""Two projects: a scaling study, and training on pictures of one's own."""
