"""Draw batches, runs and what was learned, or a page to explore it.

    python -m vitnp.visualize batch [--preset NAME] [--data NAME …] [--epoch 1 --step 1]
    python -m vitnp.visualize compare RUN RUN …
    python -m vitnp.visualize figures CHECKPOINT [--images FILE …] [--out DIR] …
    python -m vitnp.visualize explore CHECKPOINT IMAGE … [--out page.html] [--blocks 1,6,12] …

batch takes the options of vitnp.train, and draws one batch of that run before and after
augmentation. compare draws the curves of several runs together, finished or not, and prints a
table. Both write a PNG file, over one that is there, whose path is the last line printed.

figures draws what the paper shows of its networks: patch filters, similarity of positions,
attention distance, attention rollout and the attention of chosen patches. Each is a PNG file with
the numbers behind it as .npz beside it, in RUN/figures, or for a file in figures; the folder is the
last line printed. Pictures are those given, or come from the test part of the run's data set.

explore writes one HTML file, which needs nothing else, on which a reader moves over a picture and
sees where each patch looks, in every head of every block. Its path is the last line printed.
"""

import argparse
import math
from pathlib import Path

from vitnp.common import command
from vitnp.config import is_number
from vitnp.errors import Error
from vitnp.runs import checkpoint_options, choices, presets, recipe

HEADER = ("run", "model", "epochs", "best validation", "test accuracy", "training time")


def main(arguments):
    """Draw as the options say, and print the path of the picture last."""
    options = parse(arguments)
    if options.action == "figures":
        draw_figures(options)
        return 0
    if options.action == "explore":
        print(write_page(options))
        return 0
    if Path(options.figure).suffix.lower() != ".png":
        raise Error(f"--figure is {options.figure}, but the picture is a PNG file; choose a name "
                    "that ends in .png")
    if options.action == "batch":
        draw_batch(vars(options))
    else:
        draw_runs(options.runs, options.figure)
    print(options.figure)
    return 0


def parse(arguments):
    """Return the options, or raise Error for those that are not possible."""
    shape = argparse.RawDescriptionHelpFormatter
    parser = command.Parser(prog="python -m vitnp.visualize", description=__doc__,
                            formatter_class=shape)
    actions = parser.add_subparsers(dest="action", required=True,
                                    metavar="batch | compare | figures | explore")
    batch = actions.add_parser("batch", help="draw a batch of training images")
    batch.add_argument("--preset", metavar="NAME", help=f"recipe: {presets.described()}")
    recipe.add_options(batch)
    batch.add_argument("--epoch", type=int, default=1, help="counted from 1 (default: 1)")
    batch.add_argument("--step", type=int, default=1,
                       help="step of the epoch, counted from 1 (default: 1)")
    compare = actions.add_parser("compare", help="draw several runs together")
    compare.add_argument("runs", metavar="RUN", nargs="+", help="folder of a run")
    for action in (batch, compare):
        action.add_argument("--figure", metavar="PNG", default=f"{action.prog.split()[-1]}.png",
                            help="file of the picture (default: %(default)s)")
    add_figures(actions.add_parser("figures", help="draw what a network has learned"))
    add_explore(actions.add_parser("explore", help="write a page to explore where it looks"))
    return parser.parse_args(arguments)


def add_figures(parser):
    """Add the options of the action "figures" to its parser."""
    checkpoint_options.add_options(parser)
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--images", metavar="FILE", nargs="+", help="pictures to look at")
    source.add_argument("--data", metavar="NAME", help="data set whose test part is looked at "
                        "(default: that of the run)")
    parser.add_argument("--data-dir", metavar="DIR", help="where its files are")
    parser.add_argument("--out", metavar="DIR", help="folder for the figures (default: "
                        "CHECKPOINT/figures for a run, else figures)")
    parser.add_argument("--block", type=int, metavar="N", help="block whose attention is drawn for "
                        "chosen patches, counted from 1 (default: the last)")
    parser.add_argument("--head", default="all", metavar="N", help="head, counted from 1, or all "
                        "(default: all)")
    parser.add_argument("--query", metavar="ROW,COLUMN", nargs="+", help="patches whose attention "
                        "is drawn, counted from 1,1 (default: the one in the middle)")


def add_explore(parser):
    """Add the options of the action "explore" to its parser."""
    checkpoint_options.add_options(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="pictures to look at; two are "
                        "shown side by side")
    parser.add_argument("--out", metavar="HTML", default="explore.html", help="file of the page "
                        "(default: %(default)s)")
    parser.add_argument("--blocks", metavar="N,…", help="blocks whose attention the page holds, "
                        "counted from 1 (default: all)")


def write_page(options):
    """Write the page with which to explore where a network looks, and return its path."""
    if Path(options.out).suffix.lower() not in (".html", ".htm"):
        raise Error(f"--out is {options.out}, but the page is an HTML file; choose a name that "
                    "ends in .html")

    from vitnp.analysis.explorer import page
    from vitnp.common.progress import say
    from vitnp.data import likeness
    from vitnp.parallel import lanes

    lanes.prepare_process()
    trained = checkpoint_options.load(options)
    blocks = blocks_of(options.blocks, getattr(trained.config, "depth", 0))
    for path in options.images:
        words = likeness.remark(path, trained.preprocess.read(path), trained.preprocess)
        if words:
            say(words)
    page.write(trained, options.images, options.out,
               checkpoint_options.title_of(options.checkpoint), blocks)
    return options.out


def blocks_of(text, depth):
    """Return the blocks of a text such as "1,6,12", counted from 0, or None where there is none."""
    if text is None:
        return None
    blocks = checkpoint_options.whole_numbers(text)
    if blocks is None or not all(1 <= block <= depth for block in blocks):
        raise Error(f"--blocks is {text}; it must be numbers of blocks from 1 to {depth}, such as "
                    f"1,{depth}")
    return sorted({block - 1 for block in blocks})


def draw_figures(options):
    """Draw what a network has learned, and print the paths of the files and their folder."""
    from vitnp.analysis.drawing import gallery
    from vitnp.parallel import lanes

    lanes.prepare_process()
    for path in gallery.draw_all(options):
        print(path)


def draw_batch(options):
    """Draw one batch of the run that a recipe describes."""
    from vitnp import data
    from vitnp.analysis.drawing import sheets
    from vitnp.data.batches import batch_of, epoch_order
    from vitnp.parallel import lanes
    from vitnp.training import initial_weights

    command.check_counts(argparse.Namespace(**options), "epoch", "step")
    wanted = recipe.from_options(options, choices.defaults(options["preset"], options))
    if options["epoch"] > wanted.epochs:
        raise Error(f"--epoch is {options['epoch']}, but the run has {wanted.epochs} epochs")
    dataset = data.load(wanted.data, wanted.data_dir, wanted.image_size,
                        wanted.workers or lanes.cores(), initial_weights.preprocess_of(wanted))
    wanted.configure(dataset)
    chosen, _ = dataset.parts()
    last = math.ceil(len(chosen) / wanted.batch_size)
    if options["step"] > last:
        raise Error(f"--step is {options['step']}, but the epochs of the run have {last} steps")
    epoch, i = options["epoch"] - 1, options["step"] - 1
    order = epoch_order(chosen, wanted.seed, epoch)
    after, targets = batch_of(dataset, order, wanted, epoch, i)
    batch = order[i * wanted.batch_size:][:len(after)]
    shown = min(len(batch), sheets.MOST_IN_BATCH)
    some = f"the first {shown} of " if shown < len(batch) else ""
    title = f"{wanted.data}, epoch {epoch + 1}, step {i + 1}: {some}{len(batch)} training images"
    sheets.batch(dataset.train_images[batch[:shown]], after, dataset.train_labels[batch], targets,
                 dataset.class_names, options["figure"], title)


def draw_runs(folders, figure):
    """Draw the curves of runs together and print their table."""
    from vitnp.analysis.drawing import figures
    from vitnp.common.progress import say
    from vitnp.runs import run_folder

    settings = [run_folder.read_recipe(folder) for folder in folders]
    records = [read_records(folder) for folder in folders]
    names = short_names(folders)
    for folder, found in zip(folders, records, strict=True):
        if not found:
            say(f"{folder} has no finished epoch yet, and no curve")
    drawn = [(name, found) for name, found in zip(names, records, strict=True) if found]
    if not drawn:
        raise Error("none of the runs has a finished epoch, and there is nothing to draw yet")
    figures.compare(drawn, figure)
    print_table([HEADER, *map(row, names, settings, records)])


def read_records(folder):
    """Return the records of a run's metrics.jsonl, none where it has not been written yet.

    Raises Error where a record is no dict of numbers.
    """
    from vitnp.runs import run_folder

    path = Path(folder) / run_folder.METRICS
    if not path.exists():
        return []
    records = run_folder.read_metrics(folder)
    for record in records:
        if not isinstance(record, dict) or not all(map(is_number, record.values())):
            raise Error(f"{path} is damaged: a line of it is not the record of an epoch")
    return records


def short_names(folders):
    """Return the last part of each folder's path, or the whole path where that is not unique."""
    last = [Path(folder).resolve().name for folder in folders]
    return [name if last.count(name) == 1 else str(folder)
            for name, folder in zip(last, folders, strict=True)]


def row(name, settings, records):
    """Return the words of one run's line in the table, as HEADER has them."""
    from vitnp.analysis.drawing.figures import best_of

    epochs = [record for record in records if "epoch" in record]
    best = best_of(epochs)
    tested = [record["test_accuracy"] for record in records if "test_accuracy" in record]
    minutes, seconds = divmod(round(sum(record.get("seconds", 0) for record in epochs)), 60)
    return (name, settings.network, f"{len(epochs)} of {settings.epochs}",
            f"{100 * best['validation_accuracy']:.2f} %" if best else "-",
            f"{100 * tested[-1]:.2f} %" if tested else "-",
            f"{minutes // 60}:{minutes % 60:02}:{seconds:02}")


def print_table(rows):
    """Print rows of words in columns: the first two to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for words in rows:
        cells = [text.ljust(width) if place < 2 else text.rjust(width)
                 for place, (text, width) in enumerate(zip(words, widths, strict=True))]
        print("  ".join(cells).rstrip())


if __name__ == "__main__":
    command.run(main)
