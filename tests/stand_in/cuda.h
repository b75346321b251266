// CUDA's words for g++, as CuPy's own kernels and vitnp's use them. The threads of a block are those
// of ../kernels/cuda_on_host.h, which stands before this, where they wait for each other; else one
// thread does the work of all.
#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#undef __device__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __restrict__
#define __align__(n) __attribute__((aligned(n)))
// CuPy's loops over the numbers of an array, from its end: where two write to one place, another
// number stays than on a CPU
#define BACKWARDS(i, n) for (ptrdiff_t i = (n); i-- > 0;)
using namespace std;

static inline int __popc(unsigned v) { return __builtin_popcount(v); }
static inline int __popcll(unsigned long long v) { return __builtin_popcountll(v); }
static inline int __clz(int v) { return v ? __builtin_clz(v) : 32; }
static inline float rsqrt(float a) { return 1 / std::sqrt(a); }
static inline double rsqrt(double a) { return 1 / std::sqrt(a); }

// A float beyond the range of an integer becomes another number on a GPU than on a CPU
extern "C" void __ubsan_handle_float_cast_overflow(void*, unsigned long) {
    fprintf(stderr, "stand-in: a kernel made an integer of a float beyond its range\n");
    abort();
}
