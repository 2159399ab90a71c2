// What waits in a stream or a graph: copies, fills, launches and marks.

#include <stdlib.h>
#include <string.h>

#include "fake.h"
#include "operations.h"

static Operation *make(enum What what) {
    Operation *operation = calloc(1, sizeof *operation);
    operation->what = what;
    return operation;
}

Operation *fake_copy(void *target, size_t target_pitch, const void *source, size_t source_pitch, size_t width,
                     size_t rows, int staged) {
    Operation *operation = make(COPY);
    operation->target = target, operation->target_pitch = target_pitch;
    operation->source = source, operation->source_pitch = source_pitch;
    operation->size = width, operation->rows = rows;
    if (staged) {  // the driver takes pageable bytes away before the call returns
        operation->held_size = width * rows;
        operation->held = malloc(operation->held_size);
        for (size_t row = 0; row < rows; row++)
            memcpy((char *)operation->held + row * width, (const char *)source + row * source_pitch, width);
    }
    return operation;
}

Operation *fake_fill(void *target, int value, size_t size) {
    Operation *operation = make(FILL);
    operation->target = target, operation->value = value, operation->size = size;
    return operation;
}

Operation *fake_launch(void *kernel, const unsigned *shape, const void *arguments, size_t size, const unsigned *sizes,
                       int count) {
    Operation *operation = make(LAUNCH);
    operation->kernel = kernel, operation->count = count;
    memcpy(operation->shape, shape, sizeof operation->shape);
    memcpy(operation->sizes, sizes, (size_t)count * sizeof *sizes);
    operation->held_size = size;
    operation->held = malloc(size + 8);
    memcpy(operation->held, arguments, size);
    return operation;
}

Operation *fake_mark(Event *event, long ticket) {
    Operation *operation = make(MARK);
    operation->event = event, operation->ticket = ticket;
    return operation;
}

Operation *fake_wait(Event *event, Stream *stream, long ticket) {
    Operation *operation = make(WAIT);
    operation->event = event, operation->stream = stream, operation->ticket = ticket;
    return operation;
}

Operation *fake_host(void (*function)(void *), void *data) {
    Operation *operation = make(HOST);
    operation->host = function, operation->target = data;
    return operation;
}

static void copy(const Operation *operation) {
    const char *source = operation->held ? operation->held : operation->source;
    size_t pitch = operation->held ? operation->size : operation->source_pitch;
    for (size_t row = 0; row < operation->rows; row++)
        memmove((char *)operation->target + row * operation->target_pitch, source + row * pitch, operation->size);
}

static void launch(const Operation *operation) {
    void *arguments[MOST_ARGUMENTS];
    char *next = operation->held;
    for (int i = 0; i < operation->count; next += operation->sizes[i++]) arguments[i] = next;
    const unsigned *s = operation->shape;
    ((Kernel)operation->kernel)(arguments, s[0], s[1], s[2], s[3], s[4], s[5]);
}

CUresult fake_run(Operation *operation) {
    CUresult code = OK;
    switch (operation->what) {
        case COPY: copy(operation); break;
        case FILL: memset(operation->target, operation->value, operation->size); break;
        case LAUNCH: launch(operation); break;
        case HOST: operation->host(operation->target); break;
        case MARK: fake_reach(operation->event, operation->ticket); break;
        case WAIT: code = fake_until(operation->event, operation->stream, operation->ticket); break;
    }
    return code;
}

void fake_append(Queue *queue, Operation *operation) {
    operation->next = NULL;
    if (queue->last)
        queue->last->next = operation;
    else
        queue->first = operation;
    queue->last = operation;
}

Operation *fake_take(Queue *queue) {
    Operation *operation = queue->first;
    if (operation && !(queue->first = operation->next)) queue->last = NULL;
    return operation;
}

void fake_forget(Operation *operation) {
    free(operation->held);
    free(operation);
}

void fake_replay(const Queue *recorded, Queue *target) {
    for (const Operation *one = recorded->first; one; one = one->next) {
        if (one->what == MARK || one->what == WAIT) continue;  // order within the graph, already kept
        Operation *again = malloc(sizeof *again);
        *again = *one;
        if (one->held) {
            again->held = malloc(one->held_size + 8);
            memcpy(again->held, one->held, one->held_size);
        }
        fake_append(target, again);
    }
}

void fake_clear(Queue *queue) {
    Operation *operation;
    while ((operation = fake_take(queue))) fake_forget(operation);
}
