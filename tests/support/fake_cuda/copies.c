// Copies and fills, in streams and at once.

#include <string.h>

#include "fake.h"

typedef struct {  // CUDA_MEMCPY2D
    size_t source_x, source_y;
    unsigned source_type;
    const void *source_host;
    CUdeviceptr source_device;
    void *source_array;
    size_t source_pitch;
    size_t target_x, target_y;
    unsigned target_type;
    void *target_host;
    CUdeviceptr target_device;
    void *target_array;
    size_t target_pitch, width, rows;
} Rectangle;

static CUresult enqueue(Stream *stream, uintptr_t target, size_t target_pitch, uintptr_t source, size_t source_pitch,
                        size_t width, size_t rows) {
    if (!width || !rows) return OK;
    if (!fake_in_bounds(target, (rows - 1) * target_pitch + width)) return INVALID_VALUE;
    if (!fake_in_bounds(source, (rows - 1) * source_pitch + width)) return INVALID_VALUE;
    int pageable = fake_kind(source) == PAGEABLE, waits = fake_kind(target) == PAGEABLE;
    if ((pageable || waits) && stream->capture) return stream->capture->invalid = 1, CAPTURE_UNSUPPORTED;
    CUresult code = fake_enqueue(stream, fake_copy((void *)target, target_pitch, (const void *)source, source_pitch,
                                                   width, rows, pageable));
    return code || !waits ? code : fake_drain(stream);  // copies to pageable memory return when they are done
}

static CUresult copy_async(CUdeviceptr target, CUdeviceptr source, size_t size, void *handle, const char *name) {
    ENTER_CONTEXT(name);
    Stream *stream = fake_stream(handle);
    NEED(stream, INVALID_HANDLE);
    DONE(enqueue(stream, target, size, source, size, size, 1));
}

static CUresult copy_now(CUdeviceptr target, CUdeviceptr source, size_t size, const char *name) {
    ENTER_CONTEXT(name);
    CUresult code = enqueue(&fake_default_stream, target, size, source, size, size, 1);
    DONE(code ? code : fake_drain(&fake_default_stream));
}

CUresult cuMemcpyAsync(CUdeviceptr target, CUdeviceptr source, size_t size, void *stream) {
    return copy_async(target, source, size, stream, "cuMemcpyAsync");
}

CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr target, const void *source, size_t size, void *stream) {
    return copy_async(target, (CUdeviceptr)source, size, stream, "cuMemcpyHtoDAsync");
}

CUresult cuMemcpyDtoHAsync_v2(void *target, CUdeviceptr source, size_t size, void *stream) {
    return copy_async((CUdeviceptr)target, source, size, stream, "cuMemcpyDtoHAsync");
}

CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr target, CUdeviceptr source, size_t size, void *stream) {
    return copy_async(target, source, size, stream, "cuMemcpyDtoDAsync");
}

CUresult cuMemcpy(CUdeviceptr target, CUdeviceptr source, size_t size) {
    return copy_now(target, source, size, "cuMemcpy");
}

CUresult cuMemcpyHtoD_v2(CUdeviceptr target, const void *source, size_t size) {
    return copy_now(target, (CUdeviceptr)source, size, "cuMemcpyHtoD");
}

CUresult cuMemcpyDtoH_v2(void *target, CUdeviceptr source, size_t size) {
    return copy_now((CUdeviceptr)target, source, size, "cuMemcpyDtoH");
}

CUresult cuMemcpyDtoD_v2(CUdeviceptr target, CUdeviceptr source, size_t size) {
    return copy_now(target, source, size, "cuMemcpyDtoD");
}

CUresult cuMemcpy2DAsync_v2(const Rectangle *r, void *handle) {
    ENTER_CONTEXT("cuMemcpy2DAsync");
    Stream *stream = fake_stream(handle);
    NEED(stream, INVALID_HANDLE);
    uintptr_t source = r->source_type == 1 ? (uintptr_t)r->source_host : r->source_device;  // 1: host
    uintptr_t target = r->target_type == 1 ? (uintptr_t)r->target_host : r->target_device;
    NEED(r->source_pitch >= r->source_x + r->width && r->target_pitch >= r->target_x + r->width, INVALID_VALUE);
    source += r->source_y * r->source_pitch + r->source_x;
    target += r->target_y * r->target_pitch + r->target_x;
    DONE(enqueue(stream, target, r->target_pitch, source, r->source_pitch, r->width, r->rows));
}

CUresult cuMemsetD8Async(CUdeviceptr target, unsigned char value, size_t size, void *handle) {
    ENTER_CONTEXT("cuMemsetD8Async");
    Stream *stream = fake_stream(handle);
    NEED(stream, INVALID_HANDLE);
    NEED(fake_kind(target) != PAGEABLE && fake_in_bounds(target, size), INVALID_VALUE);
    DONE(fake_enqueue(stream, fake_fill((void *)target, value, size)));
}

CUresult cuMemsetD8_v2(CUdeviceptr target, unsigned char value, size_t size) {
    CUresult code = cuMemsetD8Async(target, value, size, NULL);
    return code ? code : fake_drain(&fake_default_stream);
}
