"""How fast a training step or a prediction is, and where its time goes."""
