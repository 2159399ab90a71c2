// Start, devices, the primary context and each thread's stack of current contexts.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"

#define DEPTH 64

struct Context {
    int device, retained, primary;
};

static Context primary[16];
static __thread Context *stack[DEPTH];
static __thread int depth;

long fake_devices(void) { return fake_number("VULTUS_FAKE_DEVICES", 1); }

CUresult cuInit(unsigned flags) {
    ENTER("cuInit");
    DONE(flags ? INVALID_VALUE : OK);
}

CUresult cuDriverGetVersion(int *version) {
    ENTER("cuDriverGetVersion");
    *version = (int)fake_number("VULTUS_FAKE_DRIVER", 13000);
    DONE(OK);
}

CUresult cuDeviceGetCount(int *count) {
    ENTER("cuDeviceGetCount");
    *count = (int)fake_devices();
    DONE(OK);
}

CUresult cuDeviceGet(int *device, int index) {
    ENTER("cuDeviceGet");
    NEED(index >= 0 && index < fake_devices(), INVALID_DEVICE);
    *device = index;
    DONE(OK);
}

CUresult cuDeviceGetName(char *name, int size, int device) {
    ENTER("cuDeviceGetName");
    snprintf(name, (size_t)size, "Fake CUDA device %d", device);
    DONE(OK);
}

CUresult cuDeviceTotalMem_v2(size_t *bytes, int device) {
    ENTER("cuDeviceTotalMem");
    (void)device;
    *bytes = (size_t)fake_number("VULTUS_FAKE_MEMORY", 1L << 30);
    DONE(OK);
}

CUresult cuDeviceGetAttribute(int *value, int which, int device) {
    ENTER("cuDeviceGetAttribute");
    (void)device;
    long capability = fake_number("VULTUS_FAKE_CAPABILITY", 87);  // 87 means 8.7
    switch (which) {
        case 1:                       // most threads a block, along x, along y
        case 2:
        case 3: *value = 1024; break;
        case 5: *value = INT32_MAX; break;  // widest grid
        case 8: *value = 48 << 10; break;   // shared memory a block
        case 10: *value = 32; break;  // warp size
        case 12: *value = 65536; break;     // registers a block
        case 16: *value = 8; break;   // multiprocessors
        case 18: *value = (int)fake_number("VULTUS_FAKE_INTEGRATED", 0); break;
        case 19:                      // can map host memory
        case 41: *value = 1; break;   // unified addressing
        case 75: *value = (int)(capability / 10); break;
        case 76: *value = (int)(capability % 10); break;
        default: *value = 0;
    }
    DONE(OK);
}

CUresult cuDeviceComputeCapability(int *major, int *minor, int device) {
    CUresult code = cuDeviceGetAttribute(major, 75, device);
    return code ? code : cuDeviceGetAttribute(minor, 76, device);
}

CUresult cuDevicePrimaryCtxRetain(Context **context, int device) {
    ENTER("cuDevicePrimaryCtxRetain");
    NEED(device >= 0 && device < fake_devices(), INVALID_DEVICE);
    Context *one = &primary[device];
    one->device = device;
    one->primary = 1;
    one->retained++;
    *context = one;
    DONE(OK);
}

CUresult cuDevicePrimaryCtxRelease_v2(int device) {
    if (primary[device].retained == 1) fake_revive();
    ENTER("cuDevicePrimaryCtxRelease");
    NEED(primary[device].retained > 0, INVALID_CONTEXT);
    if (!--primary[device].retained) {
        fake_forget_streams(&primary[device]);
        fake_free_all(&primary[device]);
    }
    DONE(OK);
}

CUresult cuDevicePrimaryCtxGetState(int device, unsigned *flags, int *active) {
    ENTER("cuDevicePrimaryCtxGetState");
    *flags = 0;
    *active = primary[device].retained > 0;
    DONE(OK);
}

CUresult cuCtxCreate_v2(Context **context, unsigned flags, int device) {
    ENTER("cuCtxCreate");
    (void)flags;
    NEED(depth < DEPTH, INVALID_CONTEXT);
    *context = calloc(1, sizeof(Context));
    (*context)->device = device;
    (*context)->retained = 1;
    stack[depth++] = *context;
    DONE(OK);
}

CUresult cuCtxCreate_v4(Context **context, void *parameters, unsigned flags, int device) {
    (void)parameters;
    return cuCtxCreate_v2(context, flags, device);
}

CUresult cuCtxDestroy_v2(Context *context) {
    ENTER("cuCtxDestroy");
    NEED(context && !context->primary && context->retained, INVALID_CONTEXT);
    context->retained = 0;
    if (depth && stack[depth - 1] == context) depth--;
    fake_free_all(context);
    DONE(OK);
}

CUresult cuCtxDetach(Context *context) {
    if (context && context->primary) return cuDevicePrimaryCtxRelease_v2(context->device);
    return cuCtxDestroy_v2(context);
}

CUresult cuCtxPushCurrent_v2(Context *context) {
    ENTER("cuCtxPushCurrent");
    NEED(context && depth < DEPTH, INVALID_CONTEXT);
    NEED(context->retained, CONTEXT_IS_DESTROYED);
    stack[depth++] = context;
    DONE(OK);
}

CUresult cuCtxPopCurrent_v2(Context **context) {
    ENTER("cuCtxPopCurrent");
    NEED(depth, INVALID_CONTEXT);
    *context = stack[--depth];
    DONE(OK);
}

CUresult cuCtxGetCurrent(Context **context) {
    ENTER("cuCtxGetCurrent");
    *context = fake_current();
    DONE(OK);
}

CUresult cuCtxSetCurrent(Context *context) {
    ENTER("cuCtxSetCurrent");
    if (depth) depth--;
    if (context) stack[depth++] = context;
    DONE(OK);
}

CUresult cuCtxGetDevice(int *device) {
    ENTER_CONTEXT("cuCtxGetDevice");
    *device = fake_current()->device;
    DONE(OK);
}

CUresult cuCtxSynchronize(void) {
    ENTER_CONTEXT("cuCtxSynchronize");
    DONE(fake_drain_all());
}

Context *fake_current(void) {
    Context *top = depth ? stack[depth - 1] : NULL;
    return top && top->retained ? top : NULL;
}

int fake_cuda_depth(void) { return depth; }
int fake_cuda_retained(int device) { return primary[device].retained; }
