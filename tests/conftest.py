"""What all tests share: one BLAS thread for each of pytest's workers."""

import threadpoolctl

threadpoolctl.threadpool_limits(1, user_api="blas")
