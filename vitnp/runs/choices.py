"""What is trained on a folder of pictures where nothing else is said: it follows from them."""

import re

import numpy as np

from vitnp.common.progress import say
from vitnp.data import FOLDERS, check, folder_of, pack, scan
from vitnp.data.parts import divide
from vitnp.errors import Error
from vitnp.runs import presets

SAMPLE = 400            # pictures whose sizes are looked at
PASSES = 250_000        # images that a run sees: about ten minutes on two cores
MOST_EPOCHS, FEWEST_EPOCHS = 150, 8
ACROSS = 8              # patches along a side
SIDES = (64, 48, 32, 24, 16, 8)
PAPERS_PATCH, PAPERS_SIDE = 14, 224     # from this patch side on, the paper's image size


def defaults(name, options):
    """Return the fields of Recipe that options override, a dict; what was chosen is said.

    name: of a preset, or None; options: a dict in which None means not given. For the data
    "folder", without another preset, they follow from the pictures; with --init-from they are
    those of the preset finetune.
    """
    preset = presets.find(name)
    kind = options["data"] or preset.get("data")
    if name not in (None, "folder") or kind not in FOLDERS:
        return preset
    data_dir = folder_of(kind, options["data_dir"])
    if options["init_from"] is not None:
        chosen = presets.find("finetune")
        name = "finetune"
    else:
        chosen = for_folder(data_dir, options["image_size"], options["model"],
                            options["stem"])
    words = " ".join(f"--{field.replace('_', '-')} {value:g}" if isinstance(value, float) else
                     f"--{field.replace('_', '-')} {value}" for field, value in chosen.items()
                     if options.get(field) is None)
    say(f"chosen, as by --preset {name or 'folder'} (options override it): {words}")
    return chosen


def for_folder(data_dir, image_size=None, model=None, stem=None):
    """Return the fields of Recipe for the pictures in a folder, a dict.

    Pictures are cut into 64 patches, whatever their size: from few of them a small network learns
    about as much at 64 x 64 as at 224 x 224, in a tenth of the time. Smaller ones keep their size.
    The fewer there are, the more often each is seen. image_size, model, stem: as asked for.
    """
    if pack.is_pack(data_dir):
        packed = pack.read(data_dir)
        found, image_size = packed.found, image_size or packed.pixels.shape[1]
    else:
        found = scan.scan(data_dir)
    count = sum(map(len, divide(found)["train"].values()))
    patch = patch_of(model, stem)
    if image_size is None and patch:
        image_size = PAPERS_SIDE if patch >= PAPERS_PATCH else ACROSS * patch
    elif image_size is None:
        usual = np.median(sides_of(found))
        image_size = next((side for side in SIDES if side <= usual), SIDES[-1])
    fields = {"image_size": image_size,
              "epochs": min(max(PASSES // count, FEWEST_EPOCHS), MOST_EPOCHS),
              "batch_size": 64 if count >= 1000 else 32}
    if model is None:
        fields["model"] = f"mini/{patch_for(image_size)}"
    return presets.folder() | fields


def sides_of(found):
    """Return the shorter sides of some pictures of a Scan, spread over all of them."""
    paths = [file.path for file in found.files()]
    looked = check.look_at(paths[::-(-len(paths) // SAMPLE)], whole=False)
    sides = np.array([min(size) for size, _ in looked if size])
    if not len(sides):
        raise Error(f"{found.root}: none of {len(looked)} pictures that were looked at can be read")
    return sides


def patch_of(model, stem):
    """Return the side of a patch in pixels of a model's name, such as mini/4, or None."""
    found = re.fullmatch(r"[A-Za-z]+/(\d{1,4})", model or "")
    return int(found[1]) * 2 ** len((stem or "").split(",") if stem else ()) if found else None


def patch_for(image_size):
    """Return the patch side that divides image_size into about ACROSS patches."""
    divisors = [patch for patch in range(1, image_size + 1) if image_size % patch == 0]
    return min(divisors, key=lambda patch: abs(image_size / patch - ACROSS))
