// Streams and events. A stream keeps its work until somebody waits for it.

#include <stdlib.h>
#include <time.h>

#include "fake.h"
#include "operations.h"

struct Event {
    Stream *stream;  // where it was recorded last
    Capture *capture;
    long recorded, reached;  // tickets of the last mark that was put into a stream, and of the last one reached
    double time;             // milliseconds at the last mark reached
    int untimed, destroyed;
};

Stream fake_default_stream;
static Stream *streams;

Stream *fake_stream(void *handle) {
    if ((uintptr_t)handle <= 2) return &fake_default_stream;
    for (Stream *stream = streams; stream; stream = stream->next)
        if (stream == handle) return stream;
    return NULL;
}

CUresult fake_drain(Stream *stream) {
    Operation *operation;
    while ((operation = fake_take(&stream->waiting))) {
        CUresult code = fake_run(operation);
        fake_forget(operation);
        if (code) return code;
    }
    return OK;
}

CUresult fake_drain_all(void) {
    CUresult code = fake_drain(&fake_default_stream);
    for (Stream *stream = streams; stream && !code; stream = stream->next) code = fake_drain(stream);
    return code;
}

CUresult fake_unsafe(void) {
    for (Stream *stream = streams; stream; stream = stream->next) {
        Capture *capture = stream->capture;
        if (!capture || capture->mode == 2) continue;  // 2: relaxed
        if (capture->mode == 1 && !pthread_equal(capture->thread, pthread_self())) continue;
        capture->invalid = 1;
        return CAPTURE_UNSUPPORTED;
    }
    return OK;
}

CUresult fake_enqueue(Stream *stream, Operation *operation) {
    if (stream->capture && stream->capture->invalid) return fake_forget(operation), CAPTURE_INVALIDATED;
    fake_append(stream->capture ? &stream->capture->recorded : &stream->waiting, operation);
    return OK;
}

Stream *fake_first_stream(void) { return streams; }

int fake_at_home(const Stream *stream) { return stream == &fake_default_stream || stream->context == fake_current(); }

void fake_forget_streams(Context *context) {
    for (Stream **link = &streams; *link;) {
        Stream *stream = *link;
        if (stream->context != context) {
            link = &stream->next;
            continue;
        }
        *link = stream->next;
        fake_clear(&stream->waiting);
        free(stream);
    }
}

CUresult cuStreamCreateWithPriority(Stream **stream, unsigned flags, int priority) {
    ENTER_CONTEXT("cuStreamCreate");
    (void)flags, (void)priority;
    *stream = calloc(1, sizeof **stream);
    (*stream)->context = fake_current();
    (*stream)->next = streams;
    streams = *stream;
    DONE(OK);
}

CUresult cuStreamCreate(Stream **stream, unsigned flags) { return cuStreamCreateWithPriority(stream, flags, 0); }

CUresult cuStreamDestroy_v2(Stream *stream) {
    ENTER_CONTEXT("cuStreamDestroy");
    NEED(fake_stream(stream) == stream, INVALID_HANDLE);
    CUresult code = fake_drain(stream);
    Stream **link = &streams;
    while (*link != stream) link = &(*link)->next;
    *link = stream->next;
    free(stream);
    DONE(code);
}

CUresult cuStreamSynchronize(void *handle) {
    ENTER_CONTEXT("cuStreamSynchronize");
    Stream *stream = fake_stream(handle);
    NEED(stream, INVALID_HANDLE);
    if (stream->capture) stream->capture->invalid = 1;
    DONE(stream->capture ? CAPTURE_UNSUPPORTED : fake_drain(stream));
}

CUresult cuStreamQuery(void *handle) {
    ENTER_CONTEXT("cuStreamQuery");
    Stream *stream = fake_stream(handle);
    NEED(stream, INVALID_HANDLE);
    NEED(stream->waiting.first, OK);
    CUresult ran = fake_drain(stream);  // the next question finds it done
    DONE(ran ? ran : NOT_READY);
}

CUresult cuStreamWaitEvent(void *handle, Event *event, unsigned flags) {
    ENTER_CONTEXT("cuStreamWaitEvent");
    (void)flags;
    Stream *stream = fake_stream(handle);
    NEED(stream && event && !event->destroyed, INVALID_HANDLE);
    NEED(!stream->capture || event->capture == stream->capture, CAPTURE_ISOLATION);
    if (event->capture) stream->capture = event->capture;  // the stream joins the capture
    int ahead = !event->capture && event->reached < event->recorded;
    DONE(ahead ? fake_enqueue(stream, fake_wait(event, event->stream, event->recorded)) : OK);
}

// The function may not call the driver, as with the real one; here it runs in the thread that waits.
CUresult cuLaunchHostFunc(void *handle, void (*function)(void *), void *data) {
    ENTER_CONTEXT("cuLaunchHostFunc");
    Stream *stream = fake_stream(handle);
    NEED(stream, INVALID_HANDLE);
    NEED(function, INVALID_VALUE);
    DONE(fake_enqueue(stream, fake_host(function, data)));
}

CUresult cuStreamIsCapturing(void *handle, int *status) {
    ENTER("cuStreamIsCapturing");
    Stream *stream = fake_stream(handle);
    NEED(stream, INVALID_HANDLE);
    *status = !stream->capture ? 0 : stream->capture->invalid ? 2 : 1;
    DONE(OK);
}

CUresult cuEventCreate(Event **event, unsigned flags) {
    ENTER_CONTEXT("cuEventCreate");
    *event = calloc(1, sizeof **event);
    (*event)->untimed = (flags & 2) != 0;
    DONE(OK);
}

CUresult cuEventDestroy_v2(Event *event) {
    ENTER_CONTEXT("cuEventDestroy");
    NEED(event && !event->destroyed, INVALID_HANDLE);
    event->destroyed = 1;  // its memory stays: marks may still be queued
    DONE(OK);
}

CUresult cuEventRecord(Event *event, void *handle) {
    ENTER_CONTEXT("cuEventRecord");
    Stream *stream = fake_stream(handle);
    NEED(stream && event && !event->destroyed, INVALID_HANDLE);
    NEED(fake_at_home(stream), INVALID_HANDLE);
    event->stream = stream;
    event->capture = stream->capture;
    if (event->capture) DONE(OK);  // order within a graph is the order of its recording
    DONE(fake_enqueue(stream, fake_mark(event, ++event->recorded)));
}

void fake_reach(Event *event, long ticket) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    event->time = (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
    if (ticket > event->reached) event->reached = ticket;
}

CUresult fake_until(Event *event, Stream *stream, long ticket) {
    while (event->reached < ticket) {
        Operation *operation = fake_take(&stream->waiting);
        if (!operation) return INVALID_HANDLE;
        CUresult code = fake_run(operation);
        fake_forget(operation);
        if (code) return code;
    }
    return OK;
}

CUresult cuEventSynchronize(Event *event) {
    ENTER_CONTEXT("cuEventSynchronize");
    NEED(event && !event->destroyed, INVALID_HANDLE);
    NEED(!event->capture, CAPTURE_UNSUPPORTED);
    DONE(fake_until(event, event->stream, event->recorded));
}

CUresult cuEventQuery(Event *event) {
    ENTER_CONTEXT("cuEventQuery");
    NEED(event && !event->destroyed, INVALID_HANDLE);
    NEED(event->reached < event->recorded, OK);
    CUresult ran = fake_until(event, event->stream, event->recorded);  // the next question finds it reached
    DONE(ran ? ran : NOT_READY);
}

CUresult cuEventElapsedTime_v2(float *milliseconds, Event *start, Event *end) {
    ENTER_CONTEXT("cuEventElapsedTime");
    NEED(start->recorded && end->recorded && !start->untimed && !end->untimed, INVALID_HANDLE);
    NEED(start->reached == start->recorded && end->reached == end->recorded, NOT_READY);
    *milliseconds = (float)(end->time - start->time);
    DONE(OK);
}

CUresult cuEventElapsedTime(float *milliseconds, Event *start, Event *end) {
    return cuEventElapsedTime_v2(milliseconds, start, end);
}
