"""What a person sees while a run trains: a bar on a terminal, else a line an epoch, on stderr."""

import os
import sys

NARROWEST = 14      # columns of the bar itself


def say(message):
    """Print a message to stderr."""
    print(message, file=sys.stderr, flush=True)


def epoch_line(record, epochs, columns=None):
    """Return one epoch's record as a line: its parts, in the order of what matters, that fit.

    A record may lack what was not measured. columns: room for the line, by default for all.
    """
    parts = [epoch_of(record["epoch"], epochs)]
    parts += [f"{word} {form.format(factor * record[key])}" for key, factor, word, form in (
        ("train_loss", 1, "loss", "{:.4f}"), ("train_accuracy", 100, "accuracy", "{:5.1f} %"),
        ("validation_accuracy", 100, "validation", "{:5.1f} %"),
        ("learning_rate", 1, "rate", "{:.2e}"), ("waiting", 100, "waiting", "{:.0f} %"))
        if key in record]
    if "images_per_second" in record:
        parts.append(f"{record['images_per_second']:,.0f} images/s")
    return fitting(parts, columns)


def epoch_of(number, epochs):
    """Return the words for an epoch, as wide for the first as for the last."""
    return f"epoch {number:>{len(str(epochs))}}/{epochs}"


def fitting(parts, columns=None):
    """Return the first of the parts, those that fit into so many columns, as one text."""
    text = parts[0]
    for part in parts[1:]:
        if columns is not None and len(text) + 2 + len(part) > columns:
            break
        text += f"  {part}"
    return text


class Lines:
    """A line an epoch, for logs."""

    def __init__(self, epochs):
        self.epochs = epochs

    def step(self, images, loss, accuracy, learning_rate, waiting):
        """Say nothing."""

    def during(self, words):
        """Say nothing."""

    def epoch(self, record):
        """Print the epoch's line."""
        say(epoch_line(record, self.epochs))

    def close(self):
        """Do nothing."""


class Bar(Lines):
    """A tqdm bar over all images of all epochs; what matters most has its place in any terminal."""

    def __init__(self, epochs, images, epochs_done):
        from tqdm import tqdm

        super().__init__(epochs)
        self.number, self.validated = min(int(epochs_done) + 1, epochs), []
        self.bar = tqdm(total=epochs * images, initial=round(epochs_done * images),
                        dynamic_ncols=True, bar_format=self.look([]))

    def step(self, images, loss, accuracy, learning_rate, waiting):
        """Move the bar by `images`, with the loss and accuracy of the epoch so far.

        waiting: the share of time in which no batch was ready.
        """
        self.bar.bar_format = self.look([
            f"loss {loss:.3f}", f"accuracy {100 * accuracy:.1f} %", self.time_left(images),
            *self.validated, f"rate {learning_rate:.1e}", f"waiting {100 * waiting:.0f} %"])
        self.bar.update(images)

    def during(self, words):
        """Show what goes on between the steps, such as "validation"."""
        ended = self.bar.n >= self.bar.total
        self.bar.bar_format = self.look([words] if ended else [words, self.time_left(0)])
        self.bar.refresh()

    def epoch(self, record):
        """Leave the epoch's line above the bar, and show the next epoch's number."""
        self.bar.write(epoch_line(record, self.epochs, columns() - 1), file=sys.stderr)
        self.number = min(record["epoch"] + 1, self.epochs)
        if "validation_accuracy" in record:
            self.validated = [f"validation {100 * record['validation_accuracy']:.1f} %"]
        self.bar.bar_format = self.look([self.time_left(0), *self.validated])
        self.bar.refresh()

    def look(self, parts):
        """Return the line's format: of the words before the bar those that leave room for it."""
        words = fitting([epoch_of(self.number, self.epochs), *parts], columns() - NARROWEST)
        return f"{words}  |{{bar}}|"

    def time_left(self, images):
        """Return the words for the time until the last step, after `images` more."""
        state = self.bar.format_dict
        done = state["n"] + images - state["initial"]
        if not done:
            return "-:-- left"
        # Over all of the run's time, which is that of the validations, too
        left = (state["total"] - state["n"] - images) * state["elapsed"] / done
        return f"{self.bar.format_interval(left)} left"

    def close(self):
        """Leave the bar, without what went on last, and go to the next line."""
        self.bar.bar_format = self.look(self.validated)
        self.bar.close()


def columns():
    """Return the width of the terminal that stderr is, or 80 where it does not say."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def choose(epochs, images, epochs_done=0):
    """Return a Bar where stderr is a terminal, else Lines."""
    return Bar(epochs, images, epochs_done) if sys.stderr.isatty() else Lines(epochs)
