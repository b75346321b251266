"""The fused kernels in CUDA, a C++ in which a function's body is what one of many threads does.

32 threads, the lanes of a warp, run together and can hand numbers to each other; WARPS of them are
a block, which can share memory. T is float or double. All sums have a fixed order, so that a result
is the same each time.
"""

import math

import numpy as np

from vitnp.layers import gelu

LANES, WARPS = 32, 8        # a block's threads: x is the lane, y the warp
CHUNK = 256                 # rows that one block adds up
PARTS = 16                  # arrays that one launch adds to the gradients
PLACES = np.dtype([("from", np.uint64, PARTS), ("to", np.uint64, PARTS), ("n", np.int64, PARTS)])

SOURCE = r"""
__device__ T sum_of_lanes(T value) {
    for (int step = LANES / 2; step > 0; step /= 2)
        value += __shfl_xor_sync(0xffffffffu, value, step);
    return value;
}

__device__ T max_of_lanes(T value) {
    for (int step = LANES / 2; step > 0; step /= 2) {
        T other = __shfl_xor_sync(0xffffffffu, value, step);
        if (other > value) value = other;
    }
    return value;
}

// A warp for each row, which its lanes share: lane 0 has the numbers 0, 32, 64, …
#define FOR_MY_ROW                                                  \
    const int lane = threadIdx.x;                                   \
    const long long row = (long long)blockIdx.x * WARPS + threadIdx.y; \
    if (row >= rows) return;                                        \
    const long long start = row * n;
#define FOR_EACH for (long long i = lane; i < n; i += LANES)

extern "C" __global__ void layernorm_forward(
        const T* x, const T* gamma, const T* beta, T* y, T* mean, T* rstd, T eps,
        long long rows, long long n) {
    FOR_MY_ROW
    T sum = 0, squares = 0;
    FOR_EACH sum += x[start + i];
    const T centre = sum_of_lanes(sum) / n;
    FOR_EACH squares += (x[start + i] - centre) * (x[start + i] - centre);
    const T scale = (T)1 / sqrt(sum_of_lanes(squares) / n + eps);
    FOR_EACH y[start + i] = (x[start + i] - centre) * scale * gamma[i] + beta[i];
    if (lane == 0) { mean[row] = centre; rstd[row] = scale; }
}

extern "C" __global__ void layernorm_backward(
        const T* dy, const T* x, const T* gamma, const T* mean, const T* rstd, T* dx,
        long long rows, long long n) {
    FOR_MY_ROW
    const T centre = mean[row], scale = rstd[row];
    T sum = 0, product = 0;
    FOR_EACH {
        const T dnormalised = dy[start + i] * gamma[i];
        sum += dnormalised;
        product += dnormalised * (x[start + i] - centre) * scale;
    }
    sum = sum_of_lanes(sum) / n;
    product = sum_of_lanes(product) / n;
    FOR_EACH {
        const T normalised = (x[start + i] - centre) * scale;
        dx[start + i] = scale * (dy[start + i] * gamma[i] - sum - normalised * product);
    }
}

extern "C" __global__ void softmax_forward(const T* x, T* y, long long rows, long long n) {
    FOR_MY_ROW
    T largest = x[start], sum = 0;
    FOR_EACH if (x[start + i] > largest) largest = x[start + i];
    largest = max_of_lanes(largest);
    FOR_EACH {
        const T power = exp(x[start + i] - largest);
        y[start + i] = power;
        sum += power;
    }
    const T share = (T)1 / sum_of_lanes(sum);
    FOR_EACH y[start + i] *= share;
}

extern "C" __global__ void softmax_backward(
        const T* dy, const T* y, T* dx, long long rows, long long n) {
    FOR_MY_ROW
    T sum = 0;
    FOR_EACH sum += dy[start + i] * y[start + i];
    sum = sum_of_lanes(sum);
    FOR_EACH dx[start + i] = y[start + i] * (dy[start + i] - sum);
}

// The sums over rows, a column for each lane and a chunk of rows for each block: its warps take
// turns at the rows, and the first of them adds up what all have. With x: of dy · normalised too.
__device__ void add_warps(T sum, T* result, bool inside) {
    __shared__ T of_warp[WARPS][LANES];
    of_warp[threadIdx.y][threadIdx.x] = sum;
    __syncthreads();
    for (int warp = 1; warp < WARPS; warp++) sum += of_warp[warp][threadIdx.x];
    if (inside && threadIdx.y == 0) *result = sum;
    __syncthreads();
}

extern "C" __global__ void column_sums(
        const T* dy, const T* x, const T* mean, const T* rstd, T* sums, bool with_x,
        long long rows, long long n) {
    const long long column = (long long)blockIdx.x * LANES + threadIdx.x;
    const long long first = (long long)blockIdx.y * CHUNK;
    const long long end = first + CHUNK < rows ? first + CHUNK : rows;
    const bool inside = column < n;
    T sum = 0, product = 0;
    for (long long row = first + threadIdx.y; inside && row < end; row += WARPS) {
        const T value = dy[row * n + column];
        sum += value;
        if (with_x) product += value * (x[row * n + column] - mean[row]) * rstd[row];
    }
    T* const result = sums + blockIdx.y * n + column;
    add_warps(sum, result, inside);
    if (with_x) add_warps(product, result + gridDim.y * n, inside);
}

// A number for each thread
#define FOR_MY_NUMBER                                               \
    const long long i = ((long long)blockIdx.x * WARPS + threadIdx.y) * LANES + threadIdx.x; \
    if (i >= n) return;

extern "C" __global__ void gelu_forward(const T* x, T* y, bool is_tanh, long long n) {
    FOR_MY_NUMBER
    const T a = x[i], near = fmin(fmax(a, -FAR), FAR);
    y[i] = is_tanh ? a / ((T)1 + exp((T)-2 * SLOPE * (near + CUBIC * near * near * near)))
                   : a * ((T)0.5 + (T)0.5 * erf(near * ROOT_HALF));
}

extern "C" __global__ void gelu_backward(
        const T* dy, const T* x, T* dx, bool is_tanh, long long n) {
    FOR_MY_NUMBER
    const T a = x[i], near = fmin(fmax(a, -FAR), FAR);
    T cdf, density;
    if (is_tanh) {
        cdf = (T)1 / ((T)1 + exp((T)-2 * SLOPE * (near + CUBIC * near * near * near)));
        density = (T)2 * cdf * ((T)1 - cdf) * SLOPE * ((T)1 + (T)3 * CUBIC * near * near);
    } else {
        cdf = (T)0.5 + (T)0.5 * erf(near * ROOT_HALF);
        density = DENSITY * exp((T)-0.5 * near * near);
    }
    dx[i] = dy[i] * (cdf + a * density);
}

// SplitMix64 (Steele, Lea, Flood 2014): the same number in [0, 1) for a key and a place, always
__device__ float uniform(unsigned long long key, unsigned long long i) {
    unsigned long long z = key + (i + 1) * 0x9e3779b97f4a7c15ull;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (float)((z ^ (z >> 31)) >> 40) * (1.0f / 16777216.0f);
}

// One draw for `each` numbers that lie together
extern "C" __global__ void dropout(
        const T* x, T* y, unsigned long long key, float rate, T scale, long long each,
        long long n) {
    FOR_MY_NUMBER
    y[i] = uniform(key, i / each) >= rate ? x[i] * scale : (T)0;
}

// The upper half of a float32's bits, rounded to the nearest, of two to the even one
extern "C" __global__ void shorten(const T* x, unsigned short* y, long long n) {
    FOR_MY_NUMBER
    union { float value; unsigned bits; } number;
    number.value = (float)x[i];
    const unsigned odd = number.bits >> 16 & 1;
    y[i] = number.value == number.value ? (number.bits + 0x7fff + odd) >> 16 : 0x7fc0;
}

// One to three arrays (B, heads, tokens, size), beside each other as (B, tokens, parts·heads·size)
extern "C" __global__ void merge_heads(
        const T* first, const T* second, const T* third, T* y, long long parts, long long heads,
        long long tokens, long long size, long long n) {
    FOR_MY_NUMBER
    const long long of_token = i / size, head = of_token % heads, part = of_token / heads % parts;
    const long long token = of_token / heads / parts;           // counted over all images
    const T* const x = part == 0 ? first : part == 1 ? second : third;
    y[i] = x[((token / tokens * heads + head) * tokens + token % tokens) * size + i % size];
}

// Gradients to their places in the flat buffer: a part for each row of blocks
struct Places { const T* from[PARTS]; T* to[PARTS]; long long n[PARTS]; };

extern "C" __global__ void add_parts(Places parts, bool first) {
    const T* const from = parts.from[blockIdx.y];
    T* const to = parts.to[blockIdx.y];
    const long long mine = ((long long)blockIdx.x * WARPS + threadIdx.y) * LANES + threadIdx.x;
    for (long long i = mine; i < parts.n[blockIdx.y]; i += (long long)gridDim.x * WARPS * LANES)
        to[i] = first ? from[i] : to[i] + from[i];
}

// In place; beta is 1 - β, keep = 1 - rate · decay, follow the share of w that enters the average
extern "C" __global__ void adamw(
        T* params, const T* gradients, T* moment1, T* moment2, T* average, const T* norm,
        const bool* finite, T max_norm, T beta1, T beta2, T rate, T correction2, T eps, T keep,
        T follow, long long n) {
    FOR_MY_NUMBER
    if (!*finite) return;
    T g = gradients[i], m = moment1[i], v = moment2[i], w = params[i];
    if (max_norm > 0 && *norm > max_norm) g *= max_norm / *norm;
    m += beta1 * (g - m);
    v += beta2 * (g * g - v);
    w = keep * w - rate * m / (sqrt(v / correction2) + eps);
    moment1[i] = m;
    moment2[i] = v;
    params[i] = w;
    if (follow > 0) average[i] += follow * (w - average[i]);
}
"""


def source(ctype):
    """Return the source of all kernels, for the numbers "float" or "double"."""
    numbers = {"SLOPE": gelu.SLOPE, "CUBIC": gelu.CUBIC, "FAR": gelu.FAR,
               "ROOT_HALF": math.sqrt(0.5),
               "DENSITY": 1.0 / math.sqrt(2.0 * math.pi)}
    sizes = {"LANES": LANES, "WARPS": WARPS, "CHUNK": CHUNK, "PARTS": PARTS}
    lines = [f"#define {name} {value}" for name, value in sizes.items()]
    lines += [f"#define {name} ((T){value!r})" for name, value in numbers.items()]
    return "\n".join([f"typedef {ctype} T;", *lines, SOURCE])
