// CUDA's language for g++: the shipped kernels run on the host, one thread after the other.
//
// VULTUS_KERNEL(name) exports `void shim_name(void** args, gx, gy, gz, bx, by, bz)`, with args as cuLaunchKernel's
// kernelParams, and `int shim_name_parameters(unsigned* sizes)`, which tells the bytes of each. Threads are called in turn on one stack; one that waits (__syncthreads, warp shuffles) is left where
// it stands on its own stack until all others of its block wait or are done. A launch takes part in one OS thread
// only, so several OS threads may launch at once. shim_reverse(1) turns the order of blocks and threads round for the
// launches of all threads: answers that change with it depend on chance on a GPU.
#pragma once
#define VULTUS_SHIM 1

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

struct dim3 {
    unsigned x, y, z;
};
struct int2 { int x, y; };
struct int4 { int x, y, z, w; };
struct uint2 { unsigned x, y; };
struct uint4 { unsigned x, y, z, w; };
struct float2 { float x, y; };
struct float3 { float x, y, z; };
struct alignas(16) float4 { float x, y, z, w; };
struct uchar2 { unsigned char x, y; };
struct uchar3 { unsigned char x, y, z; };
struct uchar4 { unsigned char x, y, z, w; };
struct ushort2 { unsigned short x, y; };
struct ushort4 { unsigned short x, y, z, w; };
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline float2 make_float2(float x, float y) { return {x, y}; }
inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline ushort4 make_ushort4(unsigned short x, unsigned short y, unsigned short z, unsigned short w) { return {x, y, z, w}; }

#define __global__
#define __device__
#define __host__
#define __constant__ static
#define __forceinline__ inline
#define __noinline__
#define __launch_bounds__(...)
#define __shared__ static thread_local

static thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;
static const int warpSize = 32;

namespace shim {

const size_t STACK = 256 * 1024;
enum Wait { NONE, WARP, BLOCK };

struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    dim3 thread;
    Wait waits = NONE;
};

struct Block;
inline thread_local Block* running = nullptr;
inline int reversed = 0;

inline dim3 place(unsigned index, dim3 size) {
    const unsigned total = size.x * size.y * size.z;
    const unsigned at = reversed ? total - 1 - index : index;
    return {at % size.x, at / size.x % size.y, at / (size.x * size.y)};
}

// The threads of one block after the other, on as many stacks as there are threads that wait at the same time.
struct Block {
    void (*body)(const void*);
    const void* data;
    std::vector<std::unique_ptr<Fiber>> fibers;
    std::vector<Fiber*> idle, waiting;
    Fiber* now = nullptr;
    ucontext_t scheduler;
    unsigned next = 0, total = 0;
    unsigned char slots[1024][8];

    void run() {
        next = 0;
        total = blockDim.x * blockDim.y * blockDim.z;
        while (next < total || !waiting.empty()) {
            if (next < total) {
                resume(unused());
            } else {
                release();
            }
        }
    }
    // Warps first: who waits for the whole block waits longer.
    void release() {
        Wait first = BLOCK;
        for (Fiber* fiber : waiting) first = fiber->waits == WARP ? WARP : first;
        std::vector<Fiber*> all;
        all.swap(waiting);
        for (Fiber* fiber : all) {
            if (fiber->waits == first) resume(fiber);
            else waiting.push_back(fiber);
        }
    }
    void resume(Fiber* fiber) {
        now = fiber;
        if (fiber->waits != NONE) threadIdx = fiber->thread;
        fiber->waits = NONE;
        swapcontext(&scheduler, &fiber->context);
    }
    Fiber* unused() {
        if (idle.empty()) {
            fibers.push_back(std::make_unique<Fiber>());
            Fiber* fiber = fibers.back().get();
            fiber->stack.reset(new char[STACK]);
            getcontext(&fiber->context);
            fiber->context.uc_stack.ss_sp = fiber->stack.get();
            fiber->context.uc_stack.ss_size = STACK;
            fiber->context.uc_link = nullptr;
            makecontext(&fiber->context, enter, 0);
            idle.push_back(fiber);
        }
        Fiber* fiber = idle.back();
        idle.pop_back();
        return fiber;
    }
    static void enter() {
        for (;;) running->work();
    }
    void work() {
        while (next < total) {
            threadIdx = place(next++, blockDim);
            body(data);
        }
        Fiber* self = now;
        idle.push_back(self);
        swapcontext(&self->context, &scheduler);
    }
    void wait(Wait what) {
        Fiber* self = now;
        self->thread = threadIdx;
        self->waits = what;
        waiting.push_back(self);
        swapcontext(&self->context, &scheduler);
    }
};

template <class... P, size_t... I>
void call(void (*kernel)(P...), void* const* args, std::index_sequence<I...>) {
    kernel(*static_cast<P*>(args[I])...);
}

template <class... P>
void launch(void (*kernel)(P...), void** args, dim3 grid, dim3 block) {
    using Data = std::pair<void (*)(P...), void**>;
    const Data data{kernel, args};
    Block threads;
    threads.data = &data;
    threads.body = [](const void* raw) {
        const Data* data = static_cast<const Data*>(raw);
        call(data->first, data->second, std::index_sequence_for<P...>{});
    };
    Block* outer = std::exchange(running, &threads);
    gridDim = grid;
    blockDim = block;
    for (unsigned i = 0; i < grid.x * grid.y * grid.z; i++) {
        blockIdx = place(i, grid);
        threads.run();
    }
    running = outer;
}

template <class... P>
int sizes(void (*)(P...), unsigned* out) {
    const unsigned all[] = {unsigned(sizeof(P))...};
    memcpy(out, all, sizeof(all));
    return int(sizeof...(P));
}

inline unsigned rank() { return threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z); }

// Everybody shows a value, waits, reads that of another lane, and waits until all have read.
template <class T>
T exchange(T value, unsigned lane) {
    static_assert(sizeof(T) <= 8, "a lane passes on at most 8 bytes");
    const unsigned self = rank();
    memcpy(running->slots[self], &value, sizeof(T));
    running->wait(WARP);
    T got;
    memcpy(&got, running->slots[(self & ~31u) + (lane & 31u)], sizeof(T));
    running->wait(WARP);
    return got;
}

}  // namespace shim

#define VULTUS_KERNEL(name)                                                                                        \
    extern "C" void shim_##name(void** args, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,      \
                                unsigned bz) {                                                                     \
        shim::launch(name, args, dim3{gx, gy, gz}, dim3{bx, by, bz});                                              \
    }                                                                                                              \
    extern "C" int shim_##name##_parameters(unsigned* out) { return shim::sizes(name, out); }

#define VULTUS_BLOCK_KERNEL VULTUS_KERNEL

extern "C" inline __attribute__((used)) void shim_reverse(int on) { shim::reversed = on; }

inline void __syncthreads() { shim::running->wait(shim::BLOCK); }
inline void __syncwarp(unsigned = ~0u) { shim::running->wait(shim::WARP); }
inline void __threadfence() {}
template <class T> T __shfl_sync(unsigned, T value, int lane, int = 32) { return shim::exchange(value, lane); }
template <class T> T __shfl_xor_sync(unsigned, T value, int mask, int = 32) {
    return shim::exchange(value, (shim::rank() & 31) ^ mask);
}
template <class T> T __shfl_down_sync(unsigned, T value, unsigned delta, int = 32) {
    const unsigned lane = shim::rank() & 31;
    return shim::exchange(value, lane + delta > 31 ? lane : lane + delta);
}
template <class T> T __shfl_up_sync(unsigned, T value, unsigned delta, int = 32) {
    const unsigned lane = shim::rank() & 31;
    return shim::exchange(value, lane < delta ? lane : lane - delta);
}
inline unsigned __ballot_sync(unsigned, int predicate) {
    const unsigned first = shim::rank() & ~31u;
    const unsigned total = blockDim.x * blockDim.y * blockDim.z;
    unsigned bits = 0;
    for (unsigned lane = 0; lane < 32 && first + lane < total; lane++) {
        bits |= unsigned(shim::exchange<int>(predicate != 0, lane)) << lane;
    }
    return bits;
}

template <class T> T atomicAdd(T* at, T value) { return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST); }
template <class T> T atomicOr(T* at, T value) { return __atomic_fetch_or(at, value, __ATOMIC_SEQ_CST); }
template <class T> T atomicAnd(T* at, T value) { return __atomic_fetch_and(at, value, __ATOMIC_SEQ_CST); }
template <class T> T atomicExch(T* at, T value) { return __atomic_exchange_n(at, value, __ATOMIC_SEQ_CST); }
template <class T> T atomicCAS(T* at, T expected, T value) {
    __atomic_compare_exchange_n(at, &expected, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return expected;
}
template <class T> T atomicMax(T* at, T value) {
    T old = __atomic_load_n(at, __ATOMIC_SEQ_CST);
    while (old < value && !__atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
    return old;
}
template <class T> T atomicMin(T* at, T value) {
    T old = __atomic_load_n(at, __ATOMIC_SEQ_CST);
    while (value < old && !__atomic_compare_exchange_n(at, &old, value, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {}
    return old;
}

template <class T> T min(T a, T b) { return b < a ? b : a; }
template <class T> T max(T a, T b) { return a < b ? b : a; }
inline float __fmaf_rn(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline float __fmul_rn(float a, float b) { return a * b; }
inline float __fadd_rn(float a, float b) { return a + b; }
inline float __fsub_rn(float a, float b) { return a - b; }
inline float __fdiv_rn(float a, float b) { return a / b; }
inline float __frcp_rn(float a) { return 1.0f / a; }
inline float __fsqrt_rn(float a) { return __builtin_sqrtf(a); }
inline float __expf(float a) { return expf(a); }
inline float __logf(float a) { return logf(a); }
inline float rsqrtf(float a) { return 1.0f / __builtin_sqrtf(a); }
inline float __int2float_rn(int a) { return float(a); }
inline float __uint2float_rn(unsigned a) { return float(a); }
inline float __saturatef(float a) { return a > 0.0f ? (a < 1.0f ? a : 1.0f) : 0.0f; }
template <class T, class F> T bits_as(F value) {
    static_assert(sizeof(T) == sizeof(F), "the same bits in another type");
    T out;
    memcpy(&out, &value, sizeof(T));
    return out;
}
inline int __float_as_int(float a) { return bits_as<int>(a); }
inline unsigned __float_as_uint(float a) { return bits_as<unsigned>(a); }
inline float __int_as_float(int a) { return bits_as<float>(a); }
inline float __uint_as_float(unsigned a) { return bits_as<float>(a); }
// Out of range they saturate and NaN gives 0, as cvt.s32.f32 does.
inline int shim_to_int(float a) {
    return a != a ? 0 : a >= 2147483648.0f ? INT32_MAX : a < -2147483648.0f ? INT32_MIN : int(a);
}
inline int __float2int_rn(float a) { return shim_to_int(rintf(a)); }
inline int __float2int_rz(float a) { return shim_to_int(truncf(a)); }
inline int __float2int_rd(float a) { return shim_to_int(floorf(a)); }
inline int __float2int_ru(float a) { return shim_to_int(ceilf(a)); }
inline int __popc(unsigned a) { return __builtin_popcount(a); }
inline int __clz(int a) { return a ? __builtin_clz(unsigned(a)) : 32; }
inline int __ffs(int a) { return __builtin_ffs(a); }
inline int __mulhi(int a, int b) { return int((int64_t(a) * b) >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((uint64_t(a) * b) >> 32); }
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return unsigned((uint64_t(high) << 32 | low) >> (shift & 31));
}
template <class T> T __ldg(const T* at) { return *at; }
