"""Fetch and check data sets; check and pack folders of pictures.

    python -m vitnp.data list
    python -m vitnp.data fetch NAME [--data-dir DIR]
    python -m vitnp.data check DIR
    python -m vitnp.data pack DIR OUT [--image-size SIDE]

`fetch` says where the set comes from and under which licence. A download that was broken off goes
on where it stopped when the command is given again, and what is there already is kept.
Each file must have its published md5. An archive (CIFAR) is unpacked and then deleted: training
reads the unpacked folder. The last line of the output is the folder.

`check` says what a folder of pictures holds, which files belong to no class, and which of them
cannot be read; where there are some, it ends with the exit code 1. `pack` resizes the pictures once
and writes the pixels to the folder OUT, which --data-dir can name as it could DIR: training is then
as fast as the network. Stopped, it goes on when the command is given again.
"""

import argparse
import os
from dataclasses import replace

from vitnp.common import command
from vitnp.common.progress import say
from vitnp.data import IMAGE_SIZE, check, fetch, pack, scan, sources
from vitnp.data.folder import summary
from vitnp.data.parts import divide
from vitnp.data.pictures import Decoders
from vitnp.data.preprocess import RESAMPLE, ROUNDING, whole
from vitnp.errors import Error


def main(arguments):
    """Do what the options say."""
    options = parse(arguments)
    return {"list": list_sets, "fetch": fetch_set, "check": check_folder,
            "pack": pack_folder}[options.action](options)


def list_sets(options):
    """Print what can be fetched."""
    for name, source in sources.SOURCES.items():
        print(name, *sources.describe(source), sep="\n    ")
    return 0


def check_folder(options):
    """Print what a folder of pictures holds, and which files cannot be read."""
    if pack.is_pack(options.folder):
        packed = pack.read(options.folder)
        pack.check(packed)
        print(*summary(packed.found, divide(packed.found, evaluating=True)), sep="\n")
        print("all pixels are those that were packed")
        return 0
    found = scan.scan(options.folder, training=False)
    divided = divide(found, evaluating=True, unknown=False)
    print(*summary(found, divided), *scan.describe(found), sep="\n", flush=True)
    paths = [file.path for file in found.files()]
    with Decoders(options.workers or os.cpu_count()) as decoders:
        sizes, complaints = check.check(paths, decoders, whole=True)
    if len(sizes):
        print(check.describe(sizes))
    for complaint in complaints.values():
        print(complaint)
    print(f"{len(complaints):,} of {len(paths):,} pictures cannot be read" if complaints else
          f"all {len(paths):,} pictures can be read")
    return 1 if complaints else 0


def pack_folder(options):
    """Pack a folder of pictures, and print where."""
    side, resize = options.image_size, options.resize or options.image_size
    way = replace(whole((side, side)), resample=options.resample, resize=(resize, resize),
                  keep_ratio=options.keep_ratio, rounding=options.rounding)
    count = pack.write(options.folder, options.out, way, options.workers or os.cpu_count())
    say(f"{count:,} pictures of {pack.words(way)}; to train on them: python -m vitnp.train "
        f"--data folder --data-dir {options.out}")
    print(options.out)
    return 0


def fetch_set(options):
    """Fetch the set of a name."""
    if options.name not in sources.SOURCES:
        raise Error(f"there is no data set {options.name!r} to fetch; possible are "
                    f"{', '.join(sources.SOURCES)} (digits comes with vitnp)")
    source = sources.SOURCES[options.name]
    folder = options.data_dir or sources.default_dir(options.name)
    say("\n".join(sources.describe(source)))
    fetch.fetch(source, folder, fetch.PATIENCE)
    print(folder)
    return 0


def parse(arguments):
    """Return the options, or raise Error for those that are not possible."""
    parser = command.Parser(prog="python -m vitnp.data", description=__doc__,
                            formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", metavar="list | fetch | check | pack",
                                    required=True)
    actions.add_parser("list", help="list the data sets that can be fetched")
    fetching = actions.add_parser("fetch", help="load one of them")
    fetching.add_argument("name", metavar="NAME", help=", ".join(sources.SOURCES))
    fetching.add_argument("--data-dir", metavar="DIR",
                          help="folder for the files (default: data/NAME)")
    checking = actions.add_parser("check", help="read all pictures of a folder")
    packing = actions.add_parser("pack", help="resize the pictures of a folder once")
    for action in (checking, packing):
        action.add_argument("folder", metavar="DIR", help="folder of the pictures")
        action.add_argument("--workers", type=int, help="processes (default: one a core)")
    packing.add_argument("out", metavar="OUT", help="new folder for the pixels")
    packing.add_argument("--image-size", type=int, default=IMAGE_SIZE, metavar="SIDE",
                         help="side in pixels (default: %(default)s)")
    packing.add_argument("--resample", default="bilinear", choices=RESAMPLE)
    packing.add_argument("--resize", type=int, metavar="SIDE",
                         help="side that a square is cut out of (default: nothing is cut off)")
    packing.add_argument("--keep-ratio", action="store_true", help="keep the proportions")
    packing.add_argument("--rounding", default="floor", choices=ROUNDING)
    options = parser.parse_args(arguments)
    if options.action in ("check", "pack"):
        command.check_counts(options, "workers")
    if options.action == "pack":
        command.check_counts(options, "image_size", "resize")
    return options


if __name__ == "__main__":
    command.run(main)
