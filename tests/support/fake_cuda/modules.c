// Device code: any fatbin, cubin or PTX is taken; its kernels are those of the library VULTUS_SHIM_LIBRARY.

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "operations.h"

typedef struct Function {
    void *kernel;
    unsigned sizes[MOST_ARGUMENTS];
    int count;  // -1: the shim does not tell
} Function;

static long loaded;

static void *shim(void) {
    static void *library;
    const char *path = getenv("VULTUS_SHIM_LIBRARY");
    if (!library && path && *path) library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    return library;
}

static int looks_like_code(const char *image) {
    return !memcmp(image, "\x7f" "ELF", 4) || !memcmp(image, "\x50\xed\x55\xba", 4) || strstr(image, ".version");
}

CUresult cuModuleLoadData(void **module, const void *image) {
    ENTER_CONTEXT("cuModuleLoadData");
    CUresult unsafe = fake_unsafe();
    NEED(!unsafe, unsafe);
    NEED(looks_like_code(image), INVALID_IMAGE);
    loaded++;
    *module = malloc(1);
    DONE(OK);
}

CUresult cuModuleLoadDataEx(void **module, const void *image, unsigned count, void *options, void **values) {
    (void)count, (void)options, (void)values;
    return cuModuleLoadData(module, image);
}

CUresult cuModuleUnload(void *module) {
    ENTER_CONTEXT("cuModuleUnload");
    NEED(module, INVALID_HANDLE);
    loaded--;
    free(module);
    DONE(OK);
}

static void *symbol(const char *name, const char *ending) {
    char full[256];
    snprintf(full, sizeof full, "shim_%s%s", name, ending);
    return shim() ? dlsym(shim(), full) : NULL;
}

CUresult cuModuleGetFunction(Function **function, void *module, const char *name) {
    ENTER_CONTEXT("cuModuleGetFunction");
    NEED(module, INVALID_HANDLE);
    void *kernel = symbol(name, "");
    NEED(kernel, NOT_FOUND);
    Function *made = *function = calloc(1, sizeof *made);
    int (*parameters)(unsigned *) = (int (*)(unsigned *))symbol(name, "_parameters");
    made->kernel = kernel;
    made->count = parameters ? parameters(made->sizes) : -1;
    DONE(OK);
}

CUresult cuFuncGetAttribute(int *value, int which, Function *function) {
    ENTER_CONTEXT("cuFuncGetAttribute");
    (void)function;
    *value = which == 0 ? 1024 : 0;  // 0: most threads a block
    DONE(OK);
}

static CUresult now(Stream *stream, Function *function, void **arguments, const unsigned *s) {
    if (stream->capture) return NOT_SUPPORTED;
    CUresult code = fake_drain(stream);
    if (!code) ((Kernel)function->kernel)(arguments, s[0], s[1], s[2], s[3], s[4], s[5]);
    return code;
}

static CUresult later(Stream *stream, Function *function, void **arguments, const unsigned *shape) {
    char packed[MOST_ARGUMENTS * 8];
    size_t size = 0;
    for (int i = 0; i < function->count; size += function->sizes[i++])
        memcpy(packed + size, arguments[i], function->sizes[i]);
    return fake_enqueue(stream, fake_launch(function->kernel, shape, packed, size, function->sizes, function->count));
}

// The other way to pass arguments: one buffer in which each lies at a multiple of its size.
static int unpack(const Function *function, void **extra, void **arguments) {
    if (!extra || extra[0] != (void *)1) return 0;  // CU_LAUNCH_PARAM_BUFFER_POINTER
    char *buffer = extra[1];
    size_t offset = 0;
    for (int i = 0; i < function->count; offset += function->sizes[i++]) {
        offset = (offset + function->sizes[i] - 1) / function->sizes[i] * function->sizes[i];
        arguments[i] = buffer + offset;
    }
    return function->count >= 0;
}

CUresult cuLaunchKernel(Function *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by,
                        unsigned bz, unsigned shared, void *handle, void **arguments, void **extra) {
    ENTER_CONTEXT("cuLaunchKernel");
    (void)shared;
    unsigned shape[6] = {gx, gy, gz, bx, by, bz};
    void *unpacked[MOST_ARGUMENTS];
    Stream *stream = fake_stream(handle);
    NEED(stream && function && fake_at_home(stream), INVALID_HANDLE);
    for (int i = 0; i < 6; i++) NEED(shape[i], INVALID_VALUE);
    NEED(bx * by * bz <= 1024 && bz <= 64 && gy <= 65535 && gz <= 65535, INVALID_VALUE);
    if (!arguments && unpack(function, extra, unpacked)) arguments = unpacked;
    NEED(arguments || !function->count, INVALID_VALUE);
    DONE(function->count < 0 ? now(stream, function, arguments, shape) : later(stream, function, arguments, shape));
}

long fake_cuda_modules(void) { return loaded; }
