"""Files of weights: one file a layout."""
