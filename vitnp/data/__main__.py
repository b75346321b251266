"""Download a data set from where it is published, and check it.

    python -m vitnp.data list
    python -m vitnp.data fetch NAME [--data-dir DIR]

`fetch` says where the set comes from and under which licence. A download that was broken off goes
on where it stopped when the command is given again, and what is there already is not loaded anew.
Each file must have its published md5. An archive (CIFAR) is unpacked and then deleted: training
reads the unpacked folder. The last line of the output is the folder.
"""

import argparse

from vitnp.common import command
from vitnp.common.progress import say
from vitnp.data import fetch, sources
from vitnp.errors import Error


def main(arguments):
    """List or fetch as the options say."""
    options = parse(arguments)
    if options.action == "list":
        for name, source in sources.SOURCES.items():
            print(name, *sources.describe(source), sep="\n    ")
        return 0
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
    actions = parser.add_subparsers(dest="action", metavar="list | fetch", required=True)
    actions.add_parser("list", help="list the data sets that can be fetched")
    fetching = actions.add_parser("fetch", help="load one of them")
    fetching.add_argument("name", metavar="NAME", help=", ".join(sources.SOURCES))
    fetching.add_argument("--data-dir", metavar="DIR",
                          help="folder for the files (default: data/NAME)")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    command.run(main)
