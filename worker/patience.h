/* Waiting for a condition for at most some time, by the clock that never goes back. */
#ifndef WORKER_PATIENCE_H
#define WORKER_PATIENCE_H

#include <pthread.h>
#include <stdint.h>

void patience_init(pthread_cond_t *changed);
/* With the lock held; may return early. */
void patience_wait(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t most_ms);

#endif
