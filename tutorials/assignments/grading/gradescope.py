"""Make the zip that Gradescope builds an autograder from."""

import configparser
import zipfile

from tutorials.assignments import tasks
from tutorials.assignments.grading import chosen_points
from vitnp.common.files import replacing

PROJECT = tasks.CHAPTERS.parent
SCRIPTS = tasks.HERE.parent / "teacher" / "gradescope"
PARTS = ("vitnp/**/*.py", "tutorials/*.md", "tutorials/*.py", "tutorials/assignments/**/*.py",
         "tutorials/assignments/**/*.md", "tutorials/assignments/**/*.txt", "setup.cfg")


def add_parser(words):
    """Add the word `gradescope`."""
    parser = words.add_parser("gradescope", help="make Gradescope's autograder.zip", description=(
        "Make a zip to be uploaded as the autograder of a programming assignment in Gradescope, "
        "with Ubuntu 24.04 as its base image."))
    parser.add_argument("--out", metavar="FILE", default="autograder.zip")
    parser.add_argument("--points", metavar="FILE", default=tasks.POINTS)
    parser.add_argument("--tasks", metavar="TASK", nargs="+", help="these tasks alone")
    parser.add_argument("--course", help="the word with which exercises were drawn")
    parser.set_defaults(main=main)


def main(options):
    """Write the zip and print its path."""
    points = chosen_points(options)
    table = "task,points\n" + "".join(f"{task},{value:g}\n" for task, value in points.items())
    setup = configparser.ConfigParser()
    setup.read(PROJECT / "setup.cfg")
    with replacing(options.out) as aside, zipfile.ZipFile(aside, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("setup.sh", "run_autograder"):
            info = zipfile.ZipInfo(name, (2027, 1, 1, 0, 0, 0))
            info.external_attr = 0o755 << 16
            file.writestr(info, (SCRIPTS / name).read_bytes())
        file.writestr("requirements.txt", setup["options"]["install_requires"].strip() + "\n")
        file.writestr("options.txt", f"--course {options.course}\n" if options.course else "")
        for path in sorted({path for part in PARTS for path in PROJECT.glob(part)}):
            if "projects" not in path.parts and "teacher" not in path.parts:
                file.write(path, path.relative_to(PROJECT))
        file.writestr("tutorials/assignments/tasks/points.csv", table)
    print(f"{options.out}: upload it as the autograder; see TEACHING.md, Gradescope")
    return 0
