"""Class token and positions."""

import naive
import numpy as np
import pytest

from vitnp.layers import class_token

rng = np.random.default_rng(9)
X, TOKEN, POSITION = rng.standard_normal((3, 6, 12)), rng.standard_normal(12), rng.random((7, 12))
DZ = rng.standard_normal((3, 7, 12))


@pytest.mark.parametrize("token", (TOKEN, None), ids=("token", "no token"))
@pytest.mark.parametrize("positions", (True, False))
def test_forward_equals_loops_with_each_part_present_or_absent(token, positions):
    position = (POSITION if token is not None else POSITION[:6]) if positions else None
    z, cache = class_token.forward(X, token, position)
    naive.close(z, naive.class_token(X, token, position))
    dx, dtoken, dposition = class_token.backward(DZ[:, :z.shape[1]], cache)
    assert dx.shape == X.shape
    assert (dtoken is None) == (token is None)
    assert (dposition is None) == (position is None)


def test_the_token_comes_first_and_position_0_belongs_to_it():
    z, _ = class_token.forward(X, TOKEN, POSITION)
    for image in z:
        naive.close(image[0], TOKEN + POSITION[0])
    naive.close(z[:, 1:], X + POSITION[1:])


def test_one_image_or_three_have_the_same_token():
    """One token for each place in the batch is a known mistake."""
    three, _ = class_token.forward(X, TOKEN, POSITION)
    one, _ = class_token.forward(X[:1], TOKEN, POSITION)
    np.testing.assert_array_equal(one, three[:1])


def test_gradients_of_token_and_positions_are_sums_over_the_images():
    _, cache = class_token.forward(X, TOKEN, POSITION)
    dx, dtoken, dposition = class_token.backward(DZ, cache)
    np.testing.assert_array_equal(dx, DZ[:, 1:])
    naive.close(dtoken, DZ[0, 0] + DZ[1, 0] + DZ[2, 0])
    naive.close(dposition, DZ[0] + DZ[1] + DZ[2])
