// The few functions of cuBLAS that vitnp's products reach through CuPy, and no others.
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <string>
#include <vector>

static thread_local int math;                   // TF32 is chosen for a handle, and so a thread
static void note(const std::string& what) {
    static auto tell = (void (*)(const char*))dlsym(RTLD_DEFAULT, "note");
    tell(what.c_str());
}
static bool computing() { return *(int*)dlsym(RTLD_DEFAULT, "computing"); }

static double number(const void* from, int type, long i) {
    if (type == 1) return ((const double*)from)[i];
    if (type == 0) return ((const float*)from)[i];
    unsigned bits = ((const unsigned short*)from)[i] << 16;              // 14: bfloat16
    float value;
    memcpy(&value, &bits, 4);
    return value;
}

// C = alpha · op(A) op(B) + beta · C, all counted by columns
static void product(int ta, int tb, int m, int n, int k, const void* alpha, const void* A, int at,
                    long lda, const void* B, int bt, long ldb, const void* beta, void* C, int ct,
                    long ldc) {
    const double scale = number(alpha, ct, 0), keep = number(beta, ct, 0);
    std::vector<double> a((size_t)m * k), b((size_t)n * k);
    for (int i = 0; i < m; i++)
        for (int p = 0; p < k; p++) a[(size_t)i * k + p] = number(A, at, ta ? p + i * lda : i + p * lda);
    for (int j = 0; j < n; j++)
        for (int p = 0; p < k; p++) b[(size_t)j * k + p] = number(B, bt, tb ? j + p * ldb : p + j * ldb);
    for (int j = 0; j < n; j++)
        for (int i = 0; i < m; i++) {
            double sum = 0;
            for (int p = 0; p < k; p++) sum += a[(size_t)i * k + p] * b[(size_t)j * k + p];
            const long place = i + j * ldc;
            sum = scale * sum + (keep ? keep * number(C, ct, place) : 0);
            if (ct == 1) ((double*)C)[place] = sum; else ((float*)C)[place] = sum;
        }
}

static std::string name_of(const char* name, int at, int mode) {
    static const char* names[] = {" float32", " float64"};
    return name + std::string(at == 14 ? " bfloat16" : names[at]) + (mode == 3 && at == 0 ? " TF32" : "");
}

extern "C" {

int cublasCreate_v2(void** handle) { *handle = malloc(1); return 0; }
int cublasDestroy_v2(void* handle) { free(handle); return 0; }
int cublasGetVersion_v2(void*, int* version) { *version = 120900; return 0; }
int cublasSetStream_v2(void*, void*) { return 0; }
int cublasGetStream_v2(void*, void** stream) { *stream = nullptr; return 0; }
int cublasSetMathMode(void*, int mode) { math = mode; return 0; }
int cublasGetMathMode(void*, int* mode) { *mode = math; return 0; }
int cublasSetPointerMode_v2(void*, int) { return 0; }
int cublasGetPointerMode_v2(void*, int* mode) { *mode = 0; return 0; }

int cublasGemmStridedBatchedEx(void*, int ta, int tb, int m, int n, int k, const void* alpha,
        const void* A, int at, int lda, long long sa, const void* B, int bt, int ldb, long long sb,
        const void* beta, void* C, int ct, int ldc, long long sc, int count, int compute, int) {
    if (at != bt || (at != ct && !(at == 14 && ct == 0 && compute == 68))) return 15;
    if (lda < (ta ? k : m) || ldb < (tb ? n : k) || ldc < m) return 7;
    note(name_of(count == 1 ? "product" : "products", at, math));
    static const size_t sizes[] = {4, 8};
    const size_t of_factor = at == 14 ? 2 : sizes[at];
    for (long long i = 0; computing() && i < count; i++)
        product(ta, tb, m, n, k, alpha, (const char*)A + i * sa * of_factor, at, lda,
                (const char*)B + i * sb * of_factor, bt, ldb, beta, (char*)C + i * sc * sizes[ct], ct,
                ldc);
    return 0;
}
int cublasGemmEx(void* handle, int ta, int tb, int m, int n, int k, const void* alpha, const void* A,
        int at, int lda, const void* B, int bt, int ldb, const void* beta, void* C, int ct, int ldc,
        int compute, int way) {
    return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, A, at, lda, 0, B, bt, ldb, 0,
                                      beta, C, ct, ldc, 0, 1, compute, way);
}

// The slow way: a small product for each image of a batch
#define BATCHED(name, T, type)                                                              \
int name(void*, int ta, int tb, int m, int n, int k, const T* alpha, const T* const* A,     \
         int lda, const T* const* B, int ldb, const T* beta, T* const* C, int ldc,          \
         int count) {                                                                       \
    note("products from pointers");                                                         \
    for (int i = 0; computing() && i < count; i++)                                          \
        product(ta, tb, m, n, k, alpha, A[i], type, lda, B[i], type, ldb, beta, C[i], type, ldc); \
    return 0;                                                                               \
}
BATCHED(cublasSgemmBatched, float, 0)
BATCHED(cublasDgemmBatched, double, 1)

#define DOT(name, T)                                                                        \
int name(void*, int n, const T* x, int sx, const T* y, int sy, T* result) {                 \
    note("dot");                                                                            \
    double sum = 0;                                                                         \
    for (long i = 0; computing() && i < n; i++) sum += (double)x[i * sx] * y[i * sy];       \
    *result = sum;                                                                          \
    return 0;                                                                               \
}
DOT(cublasSdot_v2, float)
DOT(cublasDdot_v2, double)

}
