"""What a person sees while a run trains: a bar on a terminal, else a line an epoch, on stderr."""

import contextlib
import os
import sys
import threading
import time

EVERY = 30.0        # seconds between two lines of a long phase
NARROWEST = 14      # columns of the bar itself


def say(message):
    """Print a message to stderr; where nobody reads it any more, what it is about goes on."""
    with contextlib.suppress(BrokenPipeError):
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


def duration(seconds):
    """Return a number of seconds in words, such as "4 minutes"."""
    for unit, length in (("hours", 3600), ("minutes", 60)):
        if seconds >= 1.5 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 1):.0f} second{'s' if seconds >= 1.5 else ''}"


class Phase:
    """A long piece of work that shows that it goes on: a bar on a terminal, else lines.

    The lines come every EVERY seconds, whether or not anything was done meanwhile. A context
    manager; `done` of the `total` units were there before; total: None where it is not known.
    """

    def __init__(self, name, unit, total, done=0, bar=True):
        self.name, self.unit, self.total, self.done = name, unit, total, done
        self._first, self._began, self._ended = done, time.monotonic(), threading.Event()
        self._bar = None
        if not sys.stderr.isatty():
            threading.Thread(target=self._talk, name="progress", daemon=True).start()
        elif bar:
            from tqdm import tqdm

            self._bar = tqdm(total=total, initial=done, desc=name, unit=f" {unit}", delay=1,
                             dynamic_ncols=True, leave=False)

    def update(self, count):
        """Note that so many more units are done."""
        self.done += count
        if self._bar is not None:
            self._bar.update(count)

    def pace(self):
        """Return the seconds that a unit takes, or None before the first is done."""
        done = self.done - self._first
        return (time.monotonic() - self._began) / done if done else None

    def line(self):
        """Return where the work stands, with the time that is left at the present pace."""
        if self.total is None:
            return f"{self.name}: {self.done:,} {self.unit}"
        left, pace = "", self.pace()
        if pace is not None:
            left = f", about {duration(pace * (self.total - self.done))} left"
        return f"{self.name}: {self.done:,} of {self.total:,} {self.unit}{left}"

    def _talk(self):
        while not self._ended.wait(EVERY):
            say(self.line())

    def close(self):
        """End the bar or the lines."""
        self._ended.set()
        if self._bar is not None:
            self._bar.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


class Lines:
    """A line an epoch, for logs; in a long one a line every EVERY seconds.

    images: of an epoch; epochs_done: how many there were before, in whole and part.
    """

    def __init__(self, epochs, images, epochs_done=0):
        self.epochs, self.images = epochs, images
        self._told = False
        self._begin(int(epochs_done) + 1, round(epochs_done % 1 * images))

    def _begin(self, epoch, done):
        name = f"epoch {min(epoch, self.epochs)}/{self.epochs}"
        self.phase = Phase(name, "images", self.images, done, bar=False)

    def step(self, images, loss, accuracy, learning_rate, waiting):
        """Note that `images` more are done; say once how long an epoch takes, if it is long."""
        self.phase.update(images)
        if not self._told:
            self._told, seconds = True, self.phase.pace() * self.images
            if seconds * self.epochs < EVERY:
                return
            say(f"an epoch takes about {duration(seconds)}, all {self.epochs} about "
                f"{duration(seconds * self.epochs)}")

    def during(self, words):
        """Let the lines say what goes on between the steps, such as "validation"."""
        self.phase.name = f"{self.phase.name.partition(',')[0]}, {words}"

    def epoch(self, record):
        """Print the epoch's line."""
        self.phase.close()
        say(epoch_line(record, self.epochs))
        self._begin(record["epoch"] + 1, 0)

    def close(self):
        """End the lines."""
        self.phase.close()


class Bar(Lines):
    """A tqdm bar over all images of all epochs; what matters most has its place in any terminal."""

    def __init__(self, epochs, images, epochs_done):
        from tqdm import tqdm

        super().__init__(epochs, images, epochs_done)
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
        super().close()
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
    return (Bar if sys.stderr.isatty() else Lines)(epochs, images, epochs_done)
