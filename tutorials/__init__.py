"""The book: chapters in Markdown, and what runs them."""
