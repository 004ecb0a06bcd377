/* The one clock module. Nothing else reads a clock (tools/ checks the pure parts). */
#ifndef LIB_BASE_CLOCK_H
#define LIB_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Milliseconds of a clock that never goes back (CLOCK_MONOTONIC). */
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
/* Milliseconds since 1970-01-01T00:00:00Z; may be set back or forward at any time. */
int64_t clock_wall_ms(void);
void clock_sleep_ms(int64_t ms);

#endif
