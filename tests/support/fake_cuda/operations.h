// The insides of an operation, for those who run or keep them.
#pragma once

#include "fake.h"

#define MOST_ARGUMENTS 64

typedef void (*Kernel)(void **, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned);

struct Operation {
    enum What { COPY, FILL, LAUNCH, MARK, WAIT, HOST } what;
    void (*host)(void *);
    void *target;
    const void *source;
    size_t target_pitch, source_pitch, size, rows;
    int value, count;
    void *kernel;
    unsigned shape[6], sizes[MOST_ARGUMENTS];
    void *held;  // staged bytes of a copy, or the arguments of a launch, without gaps
    size_t held_size;
    Event *event;
    Stream *stream;  // where the awaited mark was put
    long ticket;
    Operation *next;
};

void fake_forget(Operation *operation);
// streams.c
void fake_reach(Event *event, long ticket);
CUresult fake_until(Event *event, Stream *stream, long ticket);  // runs the stream up to the mark
