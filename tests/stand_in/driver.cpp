// What CuPy asks of CUDA's runtime and driver, in the memory of the host. Everything that a program
// makes the GPU do is noted by name, so that launches, copies and waits can be counted.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <mutex>
#include <string>
#include <vector>

typedef long Place;             // intptr_t
struct Object;                  // Python's, of which two and two functions are needed
extern "C" Object _Py_NoneStruct, *PyExc_RuntimeError;
extern "C" Object* PyErr_Format(Object*, const char*, ...);
extern "C" void PyErr_SetObject(Object*, Object*);
extern "C" void Py_IncRef(Object*);
extern "C" Object* PyImport_ImportModule(const char*);
extern "C" Object* PyObject_GetAttrString(Object*, const char*);
extern "C" Object* PyLong_FromLong(long);
extern "C" const char* PyUnicode_AsUTF8(Object*);
extern "C" char* PyBytes_AsString(Object*);

static std::mutex lock;
static std::vector<std::string> noted;
extern "C" int computing = 1;               // 0: launches are noted and checked, not carried out
extern "C" long bytes = 0, most_bytes = 0, bytes_of_gpu = 1L << 37, fails_at = -1, fails_with = 719;

extern "C" void note(const char* what) { std::lock_guard<std::mutex> hold(lock); noted.push_back(what); }
extern "C" long how_many() { return noted.size(); }
extern "C" const char* what(long i) { return noted[i].c_str(); }
extern "C" void forget() { noted.clear(); }

static Object* none() { Py_IncRef(&_Py_NoneStruct); return &_Py_NoneStruct; }

// Raise CUDARuntimeError(status)
static Object* fail(int status) {
    Object* runtime = PyImport_ImportModule("cupy_backends.cuda.api.runtime");
    PyErr_SetObject(PyObject_GetAttrString(runtime, "CUDARuntimeError"), PyLong_FromLong(status));
    return nullptr;
}

extern "C" {

Object* nothing() { return none(); }
long zero() { return 0; }
int one() { return 1; }
int version() { return 12090; }

int deviceGetAttribute(int which, int device) {
    switch (which) {                            // cudaDeviceAttr
    case 1: case 2: return 1024;                // threads of a block
    case 5: return 2147483647;                  // blocks of a grid along x
    case 6: case 7: return 65535;               // and along y and z
    case 8: return 49152;                       // bytes that a block shares
    case 10: return 32;                         // threads of a warp
    case 16: return 132;                        // multiprocessors
    case 75: return 9;                          // compute capability 9.0, as of an H100 or H200
    case 76: return 0;
    default: return 1;
    }
}

// Fresh memory is full of NaN, so that what reads it before it is written shows
Place malloc_device(size_t size) {
    std::lock_guard<std::mutex> hold(lock);
    if (bytes + (long)size > bytes_of_gpu) { fail(2); return 0; }
    char* place = (char*)aligned_alloc(256, (size + 511) / 256 * 256);
    *(size_t*)place = size;
    bytes += size;
    if (bytes > most_bytes) most_bytes = bytes;
    if (computing) memset(place + 256, 0xff, size);
    return (Place)place + 256;
}
Object* free_device(Place place) {
    std::lock_guard<std::mutex> hold(lock);
    if (place) { bytes -= *(size_t*)(place - 256); free((void*)(place - 256)); }
    return none();
}
Place malloc_host(size_t size) { return (Place)malloc(size + 1); }
Object* free_host(Place place) { free((void*)place); return none(); }
Object* set_memory(Place to, int value, size_t size) {
    note("memset");
    if (computing) memset((void*)to, value, size);
    return none();
}
Object* copy(Place to, Place from, size_t size, int kind) {
    note(kind == 1 ? "copy to the GPU" : kind == 2 ? "copy to the host" : "copy");
    if (to != from && to < from + (Place)size && from < to + (Place)size) {
        fprintf(stderr, "stand-in: a copy overlaps what it copies, which CUDA leaves undefined\n");
        abort();
    }
    if (computing || kind == 1) memmove((void*)to, (void*)from, size);
    else if (kind == 2) memset((void*)to, 0, size);
    return none();
}
Object* wait() { note("wait"); return none(); }
Place event() { static long last; return ++last; }

// A module is a library that g++ made; see __init__.py. Its name is in the place of its code
Place load_module(Object* name) {
    void* library = dlopen(PyBytes_AsString(name), RTLD_NOW | RTLD_LOCAL);
    if (!library) PyErr_Format(PyExc_RuntimeError, "%s", dlerror());
    return (Place)library;
}
struct Kernel { std::string name; void (*run)(const unsigned*, const unsigned*, void**); };
Place get_function(Place module, Object* name) {
    std::string plain = PyUnicode_AsUTF8(name);
    auto run = (void (*)(const unsigned*, const unsigned*, void**))
        dlsym((void*)module, ("launch_" + plain).c_str());
    if (!run) PyErr_Format(PyExc_RuntimeError, "there is no kernel %s", plain.c_str());
    return run ? (Place)new Kernel{plain, run} : 0;
}
Object* launch(Place function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
               unsigned bz, unsigned shared, Place stream, Place arguments, Place extra) {
    const Kernel& kernel = *(Kernel*)function;
    note(kernel.name.c_str());
    if (fails_at >= 0 && how_many() > fails_at) return fail(fails_with);
    if (!gx || !gy || !gz || gy > 65535 || gz > 65535 || bx * by * bz > 1024 || bz > 64
        || shared > 49152) return fail(9);                              // invalid configuration
    const unsigned grid[] = {gx, gy, gz}, block[] = {bx, by, bz};
    if (computing) {
        std::lock_guard<std::mutex> hold(lock);
        kernel.run(grid, block, (void**)arguments);
    }
    return none();
}
int function_attribute(int which) { return which == 0 ? 1024 : 0; }

}
