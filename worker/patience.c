#include "worker/patience.h"

#include <time.h>

#include "lib/base/clock.h"

void patience_init(pthread_cond_t *changed)
{
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(changed, &attr);
    pthread_condattr_destroy(&attr);
}

void patience_wait(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t most_ms)
{
    int64_t until = clock_mono_ms() + most_ms;
    const struct timespec at = {(time_t)(until / 1000), (long)(until % 1000) * 1000000};
    pthread_cond_timedwait(changed, lock, &at);
}
