// Allocations, all of them on the host. Fresh memory is poisoned; VULTUS_FAKE_GUARD=1 puts an unmapped page behind it.

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fake.h"

#define POISON 0xCD
#define ALIGNMENT 256

typedef struct Block {
    uintptr_t address;
    size_t size, mapped;
    void *map;
    Kind kind;
    Context *context;
    struct Block *next;
} Block;

static Block *blocks;
static size_t device_bytes;

static size_t up(size_t size, size_t unit) { return (size + unit - 1) / unit * unit; }

static size_t capacity(void) { return (size_t)fake_number("VULTUS_FAKE_MEMORY", 1L << 30); }

static CUresult allocate(size_t size, Kind kind, void **address) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), body = up(size, page);
    long guard = fake_number("VULTUS_FAKE_GUARD", 0);
    if (kind == DEVICE && device_bytes + size > capacity()) return OUT_OF_MEMORY;
    char *map = mmap(NULL, body + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return OUT_OF_MEMORY;
    mprotect(map + body, page, PROT_NONE);
    memset(map, POISON, body);
    Block *block = malloc(sizeof *block);
    char *start = guard ? map + body - up(size, 16) : map;
    *block = (Block){(uintptr_t)start, size, body + page, map, kind, fake_current(), blocks};
    blocks = block;
    if (kind == DEVICE) device_bytes += size;
    *address = start;
    return OK;
}

static void drop(Block **link) {
    Block *block = *link;
    *link = block->next;
    if (block->kind == DEVICE) device_bytes -= block->size;
    munmap(block->map, block->mapped);
    free(block);
}

static CUresult release(uintptr_t address, Kind kind) {
    CUresult code = fake_drain_all();  // freeing waits for the device
    if (code) return code;
    for (Block **link = &blocks; *link; link = &(*link)->next)
        if ((*link)->address == address && (*link)->kind == kind) return drop(link), OK;
    return INVALID_VALUE;
}

void fake_free_all(Context *context) {
    for (Block **link = &blocks; *link;)
        if ((*link)->context == context)
            drop(link);
        else
            link = &(*link)->next;
}

static Block *around(uintptr_t address) {
    for (Block *block = blocks; block; block = block->next)
        if (address >= block->address && address < block->address + block->size) return block;
    return NULL;
}

Kind fake_kind(uintptr_t address) {
    Block *block = around(address);
    return block ? block->kind : PAGEABLE;
}

int fake_in_bounds(uintptr_t address, size_t size) {
    Block *block = around(address);
    return !block || address + size <= block->address + block->size;
}

CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t size) {
    ENTER_CONTEXT("cuMemAlloc");
    NEED(size, INVALID_VALUE);
    CUresult unsafe = fake_unsafe();
    DONE(unsafe ? unsafe : allocate(size, DEVICE, (void **)pointer));
}

CUresult cuMemFree_v2(CUdeviceptr pointer) {
    ENTER_CONTEXT("cuMemFree");
    CUresult unsafe = fake_unsafe();
    DONE(unsafe ? unsafe : release(pointer, DEVICE));
}

CUresult cuMemHostAlloc(void **pointer, size_t size, unsigned flags) {
    ENTER_CONTEXT("cuMemHostAlloc");
    (void)flags;
    CUresult unsafe = fake_unsafe();
    DONE(unsafe ? unsafe : allocate(size, PINNED, pointer));
}

CUresult cuMemAllocHost_v2(void **pointer, size_t size) { return cuMemHostAlloc(pointer, size, 0); }

CUresult cuMemFreeHost(void *pointer) {
    ENTER_CONTEXT("cuMemFreeHost");
    CUresult unsafe = fake_unsafe();
    DONE(unsafe ? unsafe : release((uintptr_t)pointer, PINNED));
}

CUresult cuMemHostGetDevicePointer_v2(CUdeviceptr *device, void *host, unsigned flags) {
    ENTER_CONTEXT("cuMemHostGetDevicePointer");
    NEED(!flags && fake_kind((uintptr_t)host) == PINNED, INVALID_VALUE);
    *device = (CUdeviceptr)host;
    DONE(OK);
}

CUresult cuMemGetInfo_v2(size_t *unused, size_t *total) {
    ENTER_CONTEXT("cuMemGetInfo");
    *total = capacity();
    *unused = *total - device_bytes;
    DONE(OK);
}

CUresult cuPointerGetAttribute(void *data, int which, CUdeviceptr pointer) {
    ENTER("cuPointerGetAttribute");
    Block *block = around(pointer);
    NEED(block, INVALID_VALUE);
    switch (which) {
        case 1: *(void **)data = block->context; break;
        case 2: *(unsigned *)data = block->kind == DEVICE ? 2 : 1; break;
        case 3: *(CUdeviceptr *)data = pointer; break;
        case 9: *(int *)data = 0; break;  // ordinal of the device
        default: DONE(INVALID_VALUE);
    }
    DONE(OK);
}

CUresult cuPointerGetAttributes(unsigned count, const int *which, void **data, CUdeviceptr pointer) {
    for (unsigned i = 0; i < count; i++) {
        CUresult code = cuPointerGetAttribute(data[i], which[i], pointer);
        if (code == INVALID_VALUE) *(void **)data[i] = NULL;  // this one forgives unknown pointers
        if (code && code != INVALID_VALUE) return code;
    }
    return OK;
}

long fake_cuda_live(void) {
    long count = 0;
    for (Block *block = blocks; block; block = block->next) count++;
    return count;
}
