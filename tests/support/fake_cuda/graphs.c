// Captures, graphs and their replay.

#include <stdlib.h>

#include "fake.h"
#include "operations.h"

typedef struct {
    Queue recorded;
} Graph;

static long graphs;

CUresult cuStreamBeginCapture_v2(void *handle, int mode) {
    ENTER_CONTEXT("cuStreamBeginCapture");
    Stream *stream = fake_stream(handle);
    NEED(stream, INVALID_HANDLE);
    NEED(stream != &fake_default_stream && !stream->capture, CAPTURE_UNSUPPORTED);
    stream->capture = calloc(1, sizeof(Capture));
    *stream->capture = (Capture){.mode = mode, .thread = pthread_self(), .origin = stream};
    DONE(OK);
}

static void leave_capture(Capture *capture, Stream *stream) {
    for (; stream; stream = stream->next)
        if (stream->capture == capture) stream->capture = NULL;
}

CUresult cuStreamEndCapture(void *handle, Graph **graph) {
    ENTER_CONTEXT("cuStreamEndCapture");
    Stream *stream = fake_stream(handle);
    NEED(stream, INVALID_HANDLE);
    NEED(stream->capture && stream->capture->origin == stream, CAPTURE_UNMATCHED);
    Capture *capture = stream->capture;
    leave_capture(capture, fake_first_stream());
    *graph = NULL;
    NEED(!capture->invalid, CAPTURE_INVALIDATED);
    *graph = calloc(1, sizeof **graph);
    (*graph)->recorded = capture->recorded;
    graphs++;
    DONE(OK);
}

CUresult cuGraphInstantiateWithFlags(Graph **ready, Graph *graph, unsigned long long flags) {
    ENTER_CONTEXT("cuGraphInstantiate");
    (void)flags;
    NEED(graph, INVALID_VALUE);
    *ready = calloc(1, sizeof **ready);
    fake_replay(&graph->recorded, &(*ready)->recorded);
    graphs++;
    DONE(OK);
}

static CUresult destroy(Graph *graph, const char *name) {
    ENTER(name);
    NEED(graph, INVALID_VALUE);
    fake_clear(&graph->recorded);
    free(graph);
    graphs--;
    DONE(OK);
}

CUresult cuGraphDestroy(Graph *graph) { return destroy(graph, "cuGraphDestroy"); }
CUresult cuGraphExecDestroy(Graph *graph) { return destroy(graph, "cuGraphExecDestroy"); }

CUresult cuGraphUpload(Graph *graph, void *handle) {
    ENTER_CONTEXT("cuGraphUpload");
    DONE(graph && fake_stream(handle) ? OK : INVALID_HANDLE);
}

CUresult cuGraphLaunch(Graph *graph, void *handle) {
    ENTER_CONTEXT("cuGraphLaunch");
    Stream *stream = fake_stream(handle);
    NEED(graph && stream, INVALID_HANDLE);
    fake_replay(&graph->recorded, stream->capture ? &stream->capture->recorded : &stream->waiting);
    DONE(OK);
}

long fake_cuda_graphs(void) { return graphs; }
