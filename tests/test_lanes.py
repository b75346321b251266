"""How the layers are run: the threads of BLAS."""

import threadpoolctl

from vitnp import lanes
from vitnp.config import ViTConfig


def threads():
    return [pool["num_threads"] for pool in threadpoolctl.threadpool_info()
            if pool["user_api"] == "blas"]


def test_small_products_get_one_blas_thread_and_only_for_a_while():
    small = ViTConfig.named("tiny/4", image_size=8, channels=1, classes=10)
    large = ViTConfig.named("S/16")
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        with lanes.blas_threads(small, 64):
            assert threads() == [1]
        assert threads() == [2]
        with lanes.blas_threads(large, 4):
            assert threads() == [2]
