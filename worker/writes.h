/* In which order processes wrote to several pipes. A reader of two pipes cannot tell: it sees what
 * is in each. But the kernel sends a signal for each write to a pipe that asks for it (O_ASYNC),
 * and real-time signals queue, each with its descriptor (F_SETSIG): who takes them one by one has
 * the writes of all pipes in their order. A pipe in packet mode (O_DIRECT) keeps them apart as
 * well.
 *
 * Signals may be missing (the queue is full) or come a moment after their bytes: what reads must
 * not wait for them. Linux; on one thread, that of writes_open. */
#ifndef WORKER_WRITES_H
#define WORKER_WRITES_H

#include <stdbool.h>

struct writes;

/* NULL where it cannot be had. Blocks the signal in this thread; those begun later inherit that. */
struct writes *writes_open(void);
void writes_close(struct writes *writes); /* NULL is fine */
/* Tells of each write to the pipe from now on. False: it will not. */
bool writes_watch(struct writes *writes, int fd, void *owner, int stream);
/* Ends that for a while, or goes on. */
void writes_pause(int fd, bool pause);
void writes_forget(struct writes *writes, int fd); /* before it is closed */
/* The writes since the last call, of all pipes, in order. */
void writes_take(struct writes *writes, void (*each)(void *owner, int stream));

#endif
