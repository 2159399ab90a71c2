// A CUDA driver for tests: the driver API that vultus uses, on host memory, with kernels run by the CPU shim.
// Streams run as late as the API's rules allow, so that a missing wait shows. One lock guards everything.
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

typedef int CUresult;
typedef uintptr_t CUdeviceptr;

enum {
    OK = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NOT_INITIALIZED = 3,
    NO_DEVICE = 100,
    INVALID_DEVICE = 101,
    INVALID_IMAGE = 200,
    INVALID_CONTEXT = 201,
    INVALID_HANDLE = 400,
    NOT_FOUND = 500,
    NOT_READY = 600,
    CONTEXT_IS_DESTROYED = 709,
    NOT_SUPPORTED = 801,
    CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901,
    CAPTURE_UNMATCHED = 903,
    CAPTURE_ISOLATION = 905,
};

typedef struct Context Context;
typedef struct Operation Operation;
typedef struct Stream Stream;
typedef struct Event Event;

typedef struct {  // operations in order
    Operation *first, *last;
} Queue;

typedef struct Capture {
    Queue recorded;
    int mode, invalid;
    pthread_t thread;
    Stream *origin;
} Capture;

struct Stream {
    Queue waiting;
    Capture *capture;
    Context *context;
    Stream *next;
};

// calls.c
extern pthread_mutex_t fake_lock;
CUresult fake_enter(const char *name);  // counts the call, takes the lock, gives the failure that was asked for
CUresult fake_leave(CUresult code);
#define ENTER(name)                                   \
    CUresult entered = fake_enter(name);              \
    if (entered != OK) return fake_leave(entered)
#define NEED(condition, error)                        \
    if (!(condition)) return fake_leave(error)
#define DONE(result) return fake_leave(result)
long fake_number(const char *variable, long otherwise);  // a number from the environment
int fake_started(void);
void fake_revive(void);  // the lost context is gone, and the error with it

// contexts.c
Context *fake_current(void);
#define ENTER_CONTEXT(name)                           \
    ENTER(name);                                      \
    NEED(fake_current(), INVALID_CONTEXT)

// memory.c
typedef enum { PAGEABLE, DEVICE, PINNED } Kind;
Kind fake_kind(uintptr_t address);
int fake_in_bounds(uintptr_t address, size_t size);  // false: starts in an allocation and ends past it
void fake_free_all(Context *context);

// streams.c
extern Stream fake_default_stream;
CUresult fake_enqueue(Stream *stream, Operation *operation);
CUresult fake_drain(Stream *stream);      // runs what the stream holds
CUresult fake_drain_all(void);
CUresult fake_unsafe(void);               // the error that calls give which a capture in this thread forbids
Stream *fake_stream(void *handle);        // NULL and the legacy handles mean the default stream
int fake_at_home(const Stream *stream);   // false: it belongs to another context than the current one
void fake_forget_streams(Context *context);
Stream *fake_first_stream(void);          // of the list that `next` makes

// operations.c
Operation *fake_copy(void *target, size_t target_pitch, const void *source, size_t source_pitch, size_t width,
                     size_t rows, int staged);
Operation *fake_fill(void *target, int value, size_t size);
Operation *fake_launch(void *kernel, const unsigned *shape, const void *arguments, size_t size, const unsigned *sizes,
                       int count);
Operation *fake_host(void (*function)(void *), void *data);
Operation *fake_mark(Event *event, long ticket);
Operation *fake_wait(Event *event, Stream *stream, long ticket);
CUresult fake_run(Operation *operation);
void fake_append(Queue *queue, Operation *operation);
Operation *fake_take(Queue *queue);
void fake_replay(const Queue *recorded, Queue *target);  // appends copies
void fake_clear(Queue *queue);
