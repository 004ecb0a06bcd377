/* How long a thread may compute before it is another's turn: a word to the kernel about threads
 * that have little to do at a time and on which others wait. One with a short slice that wakes goes
 * before those with the usual one; over time it gets no more of the processor than they do. It
 * takes no privilege. Kernels before Linux 6.12 do not listen, which changes nothing but waits.
 * Source: sched_setattr(2), sched_runtime of SCHED_OTHER. */
#ifndef LIB_BASE_SLICE_H
#define LIB_BASE_SLICE_H

#include <stdint.h>

void slice_short(void);       /* this thread, and the threads and processes that it makes */
void slice_usual(void);       /* the same */
void slice_short_alone(void); /* this thread; those that it makes have the usual slice, for good */

/* This thread's, in nanoseconds; 0: the kernel has none to tell. */
uint64_t slice_ns(void);

#endif
