// Counts every call and fails on demand: VULTUS_FAKE_FAULTS="cuMemAlloc@3=2,cuStreamSynchronize=700!"
// NAME@N=CODE: the Nth call gives CODE; NAME=CODE: every call; a trailing "!": the context is lost from then on,
// until the last one who retained it lets it go.

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake.h"

#define MOST 256

static struct {
    char name[64];
    long calls, fails_at;
    int code, sticky, always;
} table[MOST];
static int used, lost, read_environment;
static pid_t started_in;

pthread_mutex_t fake_lock;

__attribute__((constructor)) static void make_lock(void) {
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&fake_lock, &recursive);
}

long fake_number(const char *variable, long otherwise) {
    const char *text = getenv(variable);
    return text && *text ? strtol(text, NULL, 0) : otherwise;
}

static int row_of(const char *name) {
    for (int i = 0; i < used; i++)
        if (!strcmp(table[i].name, name)) return i;
    if (used == MOST) abort();
    strncpy(table[used].name, name, sizeof table[used].name - 1);
    return used++;
}

void fake_cuda_fail(const char *name, long nth, int code, int sticky) {  // nth counts from now; 0: every call
    pthread_mutex_lock(&fake_lock);
    int row = row_of(name);
    table[row].fails_at = nth ? table[row].calls + nth : 0;
    table[row].always = !nth;
    table[row].code = code;
    table[row].sticky = sticky;
    pthread_mutex_unlock(&fake_lock);
}

long fake_cuda_calls(const char *name) {
    pthread_mutex_lock(&fake_lock);
    long calls = table[row_of(name)].calls;
    pthread_mutex_unlock(&fake_lock);
    return calls;
}

static void faults_from_environment(void) {
    const char *given = getenv("VULTUS_FAKE_FAULTS");
    char *all = strdup(given ? given : ""), *rest = all, *fault;
    while ((fault = strsep(&rest, ","))) {
        char *code = strchr(fault, '='), *at = strchr(fault, '@');
        if (!code) continue;
        *code++ = 0;
        if (at) *at++ = 0;
        fake_cuda_fail(fault, at ? atol(at) : 0, atoi(code), strchr(code, '!') != NULL);
    }
    free(all);
}

void fake_revive(void) { lost = 0; }

int fake_started(void) { return started_in != 0; }

static CUresult asked_failure(const char *name) {
    int row = row_of(name);
    long call = ++table[row].calls;
    if (lost) return lost;
    if (!table[row].code || !(table[row].always || call == table[row].fails_at)) return OK;
    if (table[row].sticky) lost = table[row].code;
    return table[row].code;
}

CUresult fake_enter(const char *name) {
    pthread_mutex_lock(&fake_lock);
    if (!read_environment++) faults_from_environment();
    if (started_in && started_in != getpid()) return NOT_INITIALIZED;  // CUDA does not survive a fork
    int starts = !strcmp(name, "cuInit");
    if (!started_in && !starts && strcmp(name, "cuDriverGetVersion")) return NOT_INITIALIZED;
    CUresult code = asked_failure(name);
    if (starts && code == OK) started_in = getpid();
    return code;
}

CUresult fake_leave(CUresult code) {
    pthread_mutex_unlock(&fake_lock);
    return code;
}
