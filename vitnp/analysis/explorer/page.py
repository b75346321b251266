"""The page: numbers and pictures, put into the template beside this file."""

import json
from pathlib import Path

import numpy as np

from vitnp import networks
from vitnp.analysis import interpret
from vitnp.analysis.drawing import even_share
from vitnp.analysis.explorer import measures, packing
from vitnp.common.files import replacing
from vitnp.errors import Error

SCRIPTS = ("maps.js", "draw.js", "page.js")
MOST_NUMBERS = 48_000_000       # attention weights in one page, a byte each before compression


def write(trained, pictures, path, title, blocks=None):
    """Write the page of a Model and picture files, and return its size in bytes.

    pictures: paths; blocks: numbers from 0 of those whose attention it holds, by default all.
    Raises Error for a network that is no transformer, for a page that no browser would like, and
    for files that cannot be read or written.
    """
    networks.need_transformer(trained.config, "attention weights are")
    blocks = list(range(trained.config.depth)) if blocks is None else blocks
    check_size(trained.config, len(pictures), len(blocks))
    measured = [measures.of_file(trained, file, name, blocks)
                for file, name in zip(pictures, short_names(pictures), strict=True)]
    similarity = interpret.similarity_of_positions(trained)
    facts = facts_of(trained.config, measured, title, blocks, similarity)
    content = html(facts, numbers_of(measured, similarity))
    with replacing(path) as aside:
        aside.write_text(content, encoding="utf-8")
    return len(content.encode())


def check_size(config, pictures, blocks):
    """Raise Error where a page would hold more attention weights than MOST_NUMBERS."""
    one = config.heads * config.tokens**2
    if pictures * blocks * one > MOST_NUMBERS:
        fitting = MOST_NUMBERS // one
        raise Error(f"the page would hold {pictures * blocks * one / 1e6:,.0f} million attention "
                    f"weights, too many for a browser; choose at most {fitting} blocks of one "
                    "picture in all, with fewer pictures or --blocks such as 1,6,12")


def short_names(paths):
    """Return the names of files, and of those with the same name the whole path."""
    names = [Path(path).name for path in paths]
    return [str(path) if names.count(name) > 1 else name
            for path, name in zip(paths, names, strict=True)]


def facts_of(config, measured, title, blocks, similarity):
    """Return what the page says in words and small numbers, as a dict for JSON."""
    return {
        "title": title, "grid": config.grid, "size": config.image_size,
        "classToken": config.class_token, "depth": config.depth, "heads": config.heads,
        "blocks": [block + 1 for block in blocks], "positions": similarity is not None,
        "leastCosine": 0.0 if similarity is None else min(float(similarity.min()), 0.99),
        "octaves": even_share.OCTAVES,
        "colours": {"light": even_share.ON_LIGHT, "dark": even_share.ON_DARK},
        "pictures": [{"name": picture.name, "seen": packing.picture_url(picture.seen),
                      "fine": None if picture.fine is None else packing.picture_url(picture.fine),
                      "predictions": picture.predictions} for picture in measured]}


def numbers_of(measured, similarity):
    """Return the large numbers of the page, as a dict id → text."""
    numbers = {}
    for i, picture in enumerate(measured):
        numbers[f"attention-{i}"] = packing.packed(*packing.rows_to_bytes(picture.attention))
        numbers[f"rollout-{i}"] = packing.packed(*packing.rows_to_bytes(picture.rollout))
    if similarity is not None:
        # (rows, columns, rows, columns), from -1 to 1
        numbers["positions"] = packing.packed(np.round(127 * (similarity + 1)).astype(np.uint8))
    return numbers


def html(facts, numbers):
    """Return the text of the page."""
    def template(name):
        return Path(__file__).with_name(name).read_text(encoding="utf-8")

    # In a script only "<" could end it; JSON may write it as a number
    words = json.dumps(facts).replace("<", "\\u003c")
    scripts = [f'<script type="application/json" id="facts">{words}</script>']
    scripts += [f'<script type="text/plain" id="{name}">{text}</script>'
                for name, text in numbers.items()]
    parts = {"STYLE": template("page.css"), "CODE": "\n".join(map(template, SCRIPTS)),
             "NUMBERS": "\n".join(scripts)}
    page = template("page.html")
    for name, text in parts.items():
        page = page.replace(f"<!-- {name} -->", text)
    return page
