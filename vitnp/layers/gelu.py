"""The Gaussian error linear unit, exact (erf) or in the tanh form."""

import math

from vitnp.backend import get_xp
from vitnp.errors import Error

SLOPE, CUBIC = math.sqrt(2.0 / math.pi), 0.044715

# Beyond it Φ is 0 or 1 to the last digit; its cube is not yet too large for float16
FAR = 40.0

# erfc(a) = t · exp(p(s) - a²) for a >= 0, with t = 2 / (2 + a) and s = 2 t - 1. The numbers are
# the coefficients of p, from s⁰ up: a Chebyshev fit in 60 digits, with an error of 4e-16.
ERFC_COEFFICIENTS = (
    -0.6717940840566922, 0.6726432239776583, 0.047343306841863525, -0.04689561023132892,
    -0.009872689364099222, 0.008824938561312326, 0.0017589335074028032, -0.002345812552995894,
    -0.00014624628742128406, 0.0006736791352568864, -9.373894767667295e-05,
    -0.00017430412986925938, 7.141810433422301e-05, 3.174693542327236e-05,
    -3.023784054007137e-05, 1.3989370477611051e-07, 8.662535397475538e-06,
    -2.963484230959699e-06, -1.409445991433531e-06, 1.283394915356199e-06,
    -4.146853754663641e-08, -2.895626567435524e-07, 7.745572408758512e-08,
    2.980513364515168e-08, -1.2776086554968677e-08,
)


def forward(x, form="tanh"):
    """Let each number pass by the share Φ(x) of the normal distribution that lies below it.

    Equation: y = x Φ(x), with Φ(x) = (1 + erf(x / √2)) / 2 in the form "erf", and in the form
    "tanh" Φ(x) ≈ (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, the default, as in the authors' code.
    Source: Hendrycks, Gimpel 2016, section 2.

    x: any shape. Returns y of that shape and the cache, which keeps x itself.
    Raises Error for another form.
    """
    xp = get_xp(x)
    near = xp.clip(x, -FAR, FAR)
    if form == "tanh":
        cdf = 0.5 * (1.0 + xp.tanh(SLOPE * (near + CUBIC * near * near * near)))
    elif form == "erf":
        cdf = 0.5 * (1.0 + erf(near * math.sqrt(0.5)))
    else:
        raise Error(f"there is no GELU {form!r}; possible are tanh and erf")
    return x * cdf, (x, cdf, form)


def backward(dy, cache):
    """Return dx for dy, of the same shape: dx = dy · (Φ(x) + x Φ'(x))."""
    x, cdf, form = cache
    xp = get_xp(x)
    near = xp.clip(x, -FAR, FAR)
    if form == "tanh":
        # cdf = (1 + tanh(z)) / 2 with z = √(2/π) (x + 0.044715 x³), and tanh' = 1 - tanh²
        tanh = 2.0 * cdf - 1.0
        density = 0.5 * (1.0 - tanh * tanh) * SLOPE * (1.0 + 3.0 * CUBIC * near * near)
    else:
        # cdf = (1 + erf(x / √2)) / 2: its derivative is the normal density
        density = xp.exp(-0.5 * near * near) * (1.0 / math.sqrt(2.0 * math.pi))
    # y = x * cdf
    return dy * (cdf + x * density)


def erf(x):
    """Return the error function 2/√π ∫₀ˣ exp(-t²) dt, to 4e-16 in float64, 3e-7 in float32.

    NumPy has none, and SciPy's, entry by entry, takes longer than the rest of a training step.
    """
    xp = get_xp(x)
    magnitude = xp.abs(x)
    t = 2.0 / (2.0 + magnitude)
    s = 2.0 * t - 1.0
    exponent = xp.full_like(x, ERFC_COEFFICIENTS[-1])
    for coefficient in ERFC_COEFFICIENTS[-2::-1]:
        exponent *= s
        exponent += coefficient
    exponent -= magnitude * magnitude
    return xp.copysign(1.0 - t * xp.exp(exponent), x)
