"""The training loop: step, stop, save, resume, and the weights to start from."""
