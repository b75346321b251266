// CUDA's words for a C++ compiler: the blocks of a launch run one after another, the threads of a
// block by turns. A thread gives its turn away where it waits for others, at a shuffle and at
// __syncthreads, so that a lane that misses one, or reads too early, gets the wrong number.
#include <cmath>
#include <csetjmp>
#include <cstdlib>
#include <functional>
#include <ucontext.h>
#include <type_traits>
#include <utility>
#include <vector>

#define __global__
#define __device__ static
#define __shared__ static
using std::erf;
using std::exp;
using std::fmax;
using std::fmin;
using std::sqrt;

struct Index { unsigned x, y; };
static Index blockIdx, blockDim, gridDim, threadIdx;

struct Thread {
    std::vector<char> stack = std::vector<char>(1 << 16);
    jmp_buf place;          // where it goes on
    Index index;
    bool started = false, done;
    long barriers, shuffles;
    double handed[2];       // of this shuffle and the one before: both may still be read
};
static std::vector<Thread> threads;
static jmp_buf block_place;
static unsigned current;
static const std::function<void()>* body;

static void wait_for_the_others() {
    if (!_setjmp(threads[current].place)) _longjmp(block_place, 1);
}

static void __syncthreads() {
    const long mine = ++threads[current].barriers;
    for (bool all = false; !all;) {
        wait_for_the_others();
        all = true;
        for (const Thread& other : threads) all = all && (other.done || other.barriers >= mine);
    }
}

template <typename T> T __shfl_xor_sync(unsigned mask, T value, int flip) {
    const unsigned lane = current % 32, me = current;
    const long turn = threads[me].shuffles++;
    threads[me].handed[turn % 2] = (double)value;
    wait_for_the_others();
    const Thread& other = threads[me - lane + (lane ^ flip)];
    // On a GPU a missing lane is undefined behaviour; here it ends the test
    if (mask != 0xffffffffu || other.shuffles <= turn) abort();
    return (T)other.handed[turn % 2];
}

// A thread lives on, and begins anew with each block
static void run_thread() {
    for (;;) {
        (*body)();
        threads[current].done = true;
        wait_for_the_others();
    }
}

static void start_thread(Thread& thread) {
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = thread.stack.data();
    context.uc_stack.ss_size = thread.stack.size();
    thread.started = true;
    makecontext(&context, run_thread, 0);
    setcontext(&context);
}

static void go_on(Thread& thread) {
    threadIdx = thread.index;
    if (_setjmp(block_place)) return;
    if (thread.started) _longjmp(thread.place, 1);
    start_thread(thread);
}

static void run_block() {
    for (Thread& thread : threads) {
        thread.done = false;
        thread.barriers = thread.shuffles = 0;
    }
    // To and fro, so that no order of the threads makes up for a barrier that is missing
    bool backwards = false;
    for (bool running = true; running; backwards = !backwards) {
        running = false;
        for (unsigned i = 0; i < threads.size(); i++) {
            current = backwards ? threads.size() - 1 - i : i;
            if (threads[current].done) continue;
            go_on(threads[current]);
            running = true;
        }
    }
}

static unsigned first_block;       // for tests of the last blocks of a large grid alone
extern "C" void start_at(unsigned block) { first_block = block; }

static void run_grid(const unsigned* grid, const unsigned* block, std::function<void()> work) {
    gridDim = {grid[0], grid[1]};
    blockDim = {block[0], block[1]};
    body = &work;
    if (threads.size() != block[0] * block[1]) threads = std::vector<Thread>(block[0] * block[1]);
    for (unsigned i = 0; i < threads.size(); i++) threads[i].index = {i % block[0], i / block[0]};
    for (unsigned y = 0; y < grid[1]; y++)
        for (unsigned x = first_block; x < grid[0]; x++) {
            blockIdx = {x, y};
            run_block();
        }
}

// A kernel gets its arguments as CUDA does, from where their bytes lie
template <typename... A, size_t... I>
static void call(void (*kernel)(A...), void** arguments, std::index_sequence<I...>) {
    kernel(*(std::remove_const_t<A>*)arguments[I]...);
}

template <typename... A>
static void launch(bool threads, const unsigned* grid, const unsigned* block, void (*kernel)(A...),
                   void** arguments) {
    auto work = [=] { call(kernel, arguments, std::index_sequence_for<A...>{}); };
    if (threads) return run_grid(grid, block, work);
    gridDim = blockDim = {1, 1};
    blockIdx = threadIdx = {0, 0};
    work();
}
