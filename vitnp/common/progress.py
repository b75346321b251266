"""What a person sees while a run trains: a bar on a terminal, else a line an epoch, on stderr."""

import contextlib
import sys
import threading
import time

EVERY = 30.0        # seconds between two lines of a long phase


def say(message):
    """Print a message to stderr; where nobody reads it any more, what it is about goes on."""
    with contextlib.suppress(BrokenPipeError):
        print(message, file=sys.stderr, flush=True)


def epoch_line(record, epochs):
    """Return one epoch's record as a line."""
    return (f"epoch {record['epoch']:>{len(str(epochs))}}/{epochs}"
            f"  loss {record['train_loss']:.4f}  accuracy {100 * record['train_accuracy']:5.1f} %"
            f"{validation_of(record)}  rate {record['learning_rate']:.2e}  waiting "
            f"{100 * record['waiting']:.0f} %  {record['images_per_second']:,.0f} images/s")


def validation_of(record):
    """Return the words for the validation accuracy of a record, where there is one."""
    if "validation_accuracy" not in record:
        return ""
    return f"  validation {100 * record['validation_accuracy']:5.1f} %"


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

    def epoch(self, record):
        """Print the epoch's line."""
        self.phase.close()
        say(epoch_line(record, self.epochs))
        self._begin(record["epoch"] + 1, 0)

    def close(self):
        """End the lines."""
        self.phase.close()


class Bar(Lines):
    """A tqdm bar over all images of all epochs, with loss, accuracy, learning rate, images/s."""

    def __init__(self, epochs, images, epochs_done):
        from tqdm import tqdm

        super().__init__(epochs, images, epochs_done)
        self.bar = tqdm(total=epochs * images, initial=round(epochs_done * images),
                        unit=" images", unit_scale=True, dynamic_ncols=True)
        self.bar.set_description(f"epoch {min(int(epochs_done) + 1, epochs)}/{epochs}")

    def step(self, images, loss, accuracy, learning_rate, waiting):
        """Move the bar by `images`, with the loss and accuracy of the epoch so far.

        waiting: the share of time in which no batch was ready.
        """
        self.bar.set_postfix_str(f"loss {loss:.3f}, accuracy {100 * accuracy:.1f} %, "
                                 f"rate {learning_rate:.1e}, waiting {100 * waiting:.0f} %",
                                 refresh=False)
        self.bar.update(images)

    def epoch(self, record):
        """Show the next epoch's number, and the last validation accuracy."""
        following = min(record["epoch"] + 1, self.epochs)
        self.bar.set_description(f"epoch {following}/{self.epochs},{validation_of(record)}")

    def close(self):
        """Leave the bar as it is and go to the next line."""
        super().close()
        self.bar.close()


def choose(epochs, images, epochs_done=0):
    """Return a Bar where stderr is a terminal, else Lines."""
    return (Bar if sys.stderr.isatty() else Lines)(epochs, images, epochs_done)
