"""What a person sees while a run trains: a bar on a terminal, else a line an epoch, on stderr."""

import sys


def say(message):
    """Print a message to stderr."""
    print(message, file=sys.stderr, flush=True)


def epoch_line(record, epochs):
    """Return one epoch's record as a line."""
    return (f"epoch {record['epoch']:>{len(str(epochs))}}/{epochs}"
            f"  loss {record['train_loss']:.4f}  accuracy {100 * record['train_accuracy']:5.1f} %"
            f"  validation {100 * record['validation_accuracy']:5.1f} %"
            f"  rate {record['learning_rate']:.2e}  {record['images_per_second']:,.0f} images/s")


class Lines:
    """A line an epoch, for logs."""

    def __init__(self, epochs):
        self.epochs = epochs

    def step(self, images, loss, accuracy, learning_rate):
        """Say nothing."""

    def epoch(self, record):
        """Print the epoch's line."""
        say(epoch_line(record, self.epochs))

    def close(self):
        """Do nothing."""


class Bar(Lines):
    """A tqdm bar over all images of all epochs, with loss, accuracy, learning rate, images/s."""

    def __init__(self, epochs, images):
        from tqdm import tqdm

        super().__init__(epochs)
        self.bar = tqdm(total=epochs * images, unit=" images", unit_scale=True, dynamic_ncols=True)
        self.bar.set_description(f"epoch 1/{epochs}")

    def step(self, images, loss, accuracy, learning_rate):
        """Move the bar by `images`, with the loss and accuracy of the epoch so far."""
        self.bar.set_postfix_str(f"loss {loss:.3f}, accuracy {100 * accuracy:.1f} %, "
                                 f"rate {learning_rate:.1e}", refresh=False)
        self.bar.update(images)

    def epoch(self, record):
        """Show the next epoch's number, and the last validation accuracy."""
        following = min(record["epoch"] + 1, self.epochs)
        self.bar.set_description(f"epoch {following}/{self.epochs}, "
                                 f"validation {100 * record['validation_accuracy']:.1f} %")

    def close(self):
        """Leave the bar as it is and go to the next line."""
        self.bar.close()


def choose(epochs, images):
    """Return a Bar where stderr is a terminal, else Lines."""
    return Bar(epochs, images) if sys.stderr.isatty() else Lines(epochs)
