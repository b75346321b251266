"""Oxford-IIIT Pet and Flowers-102: from their archives to folders of classes, as they are split."""

import os
import shutil
from collections import Counter
from pathlib import Path

from vitnp.common.files import refusing, sync
from vitnp.common.progress import Phase
from vitnp.data import mat
from vitnp.data.tar import each_member, read_members
from vitnp.errors import Error

MOST_BYTES = 2**31          # of an archive, unpacked
LISTS = {"train": "annotations/trainval.txt", "test": "annotations/test.txt"}
IDS = {"train": "trnid", "val": "valid", "test": "tstid"}
NAMES = Path(__file__).with_name("flowers_classes.txt")


def pets(folder):
    """Return {member of images.tar.gz: path below the folder}, from the lists of the annotations.

    A line is the picture's name, the class' number and two more numbers; the class is the name
    without its own number: great_pyrenees_12 is of the class Great Pyrenees.
    """
    archive, places = folder / "annotations.tar.gz", {}
    found = read_members(archive, set(LISTS.values()), MOST_BYTES)
    for part, member in LISTS.items():
        if member not in found:
            raise Error(f"{archive} has no {member}; it is another archive than the published one")
        for line in found[member].decode("ascii", "replace").splitlines():
            name, underscore, number = line.partition(" ")[0].rpartition("_")
            if not (underscore and number.isdecimal() and name.replace("_", "").isalpha()):
                raise Error(f"{archive}: {member} has the line {line[:60]!a}, but a picture's "
                            "name, such as Abyssinian_12, and three numbers were expected")
            breed = " ".join(word.title() for word in name.split("_"))
            places[f"images/{name}_{number}.jpg"] = f"{part}/{breed}/{name}_{number}.jpg"
    return places


def flowers(folder):
    """Return {member of 102flowers.tgz: path below the folder}, from the two .mat files."""
    labels, parts = mat.read(folder / "imagelabels.mat"), mat.read(folder / "setid.mat")
    names, places = NAMES.read_text(encoding="utf-8").splitlines(), {}
    try:
        for part, array in IDS.items():
            for number in parts[array].tolist():
                label = int(labels["labels"][number - 1])
                if number < 1 or not 1 <= label <= len(names):
                    raise IndexError
                image = f"image_{number:05}.jpg"
                places[f"jpg/{image}"] = f"{part}/{names[label - 1]}/{image}"
    except (KeyError, IndexError):
        raise Error(f"{folder / 'imagelabels.mat'} and setid.mat do not hold the labels and parts "
                    "of Flowers-102") from None
    return places


LAYOUTS = {"pets": (pets, "images.tar.gz"), "flowers": (flowers, "102flowers.tgz")}


def is_arranged(folder):
    """Tell whether the folders of classes are there, the last of which is train."""
    return (Path(folder) / "train").is_dir()


def arrange(layout, folder):
    """Unpack the pictures to folders of parts and classes; they appear when all are written.

    Only the pictures that are listed are written, under names that are made here. Raises Error
    where one is missing, the archive is damaged or the folder cannot be written.
    """
    folder = Path(folder)
    listing, archive = LAYOUTS[layout]
    places, aside = listing(folder), folder / ".unpacking"
    with refusing(f"{folder} cannot be written", "when that is mended, the same command unpacks "
                  "the archive again"):
        shutil.rmtree(aside, ignore_errors=True)
        for place in {os.path.dirname(place) for place in places.values()}:
            (aside / place).mkdir(parents=True)
        written = set()
        with Phase("unpacking", "pictures", len(places)) as shown:
            for name, data in each_member(folder / archive, places.keys(), MOST_BYTES):
                (aside / places[name]).write_bytes(data)
                written.add(name)
                shown.update(1)
        missing = sorted(places.keys() - written)
        if missing:
            raise Error(f"{folder / archive} lacks {len(missing):,} of {len(places):,} pictures, "
                        f"such as {missing[0]}; it is another archive than the published one")
        for part in sorted(os.listdir(aside)):          # test, train, val
            if part != "train":
                shutil.rmtree(folder / part, ignore_errors=True)
                os.replace(aside / part, folder / part)
        os.replace(aside / "train", folder / "train")
        sync(folder)
        shutil.rmtree(aside)
    return Counter(place.partition("/")[0] for place in places.values())
