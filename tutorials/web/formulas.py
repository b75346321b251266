"""Formulas of the book as MathML, which browsers draw by themselves."""

import re
from xml.etree import ElementTree

from vitnp.errors import Error

ARGUMENTS = {"mfrac": 2, "msub": 2, "msup": 2, "munder": 2, "mover": 2, "mroot": 2,
             "msubsup": 3, "munderover": 3}


def to_mathml(tex, display="inline"):
    r"""Return a formula in TeX as one `<math>` element; display is "inline" or "block".

    Raises Error for what latex2mathml does not know. It does not complain by itself about
    `\unknown`, `x_{i` or `\frac{1}`, and writes them into the page.
    """
    from latex2mathml.converter import convert

    braces = re.sub(r"\\.", "", tex)
    if braces.count("{") != braces.count("}"):
        raise Error(f"the braces of the formula {tex!r} do not match; each {{ needs its }}")
    try:
        # It knows `split`, which looks the same, but not `aligned`
        mathml = convert(tex.replace("{aligned}", "{split}"), display=display)
        elements = list(ElementTree.fromstring(mathml).iter())
    except Exception as error:                  # its exceptions have no class of their own
        raise Error(f"the formula {tex!r} cannot be rendered ({type(error).__name__}); "
                    "write it with the commands of other chapters") from error
    unknown = re.search(r"\\\w*", mathml)
    if unknown:
        raise Error(f"{unknown[0]} in the formula {tex!r} is not known to latex2mathml; "
                    "write it with the commands of other chapters")
    for element in elements:
        name = element.tag.rpartition("}")[2]
        if name in ARGUMENTS and len(element) != ARGUMENTS[name]:
            raise Error(f"something is missing in the formula {tex!r}: "
                        f"an {name} has {len(element)} parts, and needs {ARGUMENTS[name]}")
    # In TeX a slash stands close: D/H
    return mathml.replace("<mo>&#x0002F;</mo>", '<mo lspace="0" rspace="0">/</mo>')
