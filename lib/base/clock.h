/* The one clock module. Nothing else reads a clock (tools/ checks the pure parts).
 *
 * Two kinds of time: the machine's, for what really happens on it (a query, a socket, a process
 * that is to end), and that of schedules, delays and timeouts. They are the same, unless a test has
 * set a test clock, under which the latter begins elsewhere and goes faster:
 *
 *   NEXUS_TEST_CLOCK=START,FACTOR[,SINCE[,FILE]]
 *
 * The wall clock says START (RFC 3339) at the instant SINCE of the machine's steady clock (in
 * milliseconds; left out: when the program starts), and from then on FACTOR (1 to 100000) seconds
 * pass in one of the machine's. Programs that work together are given the same SINCE. FILE has 8
 * bytes, a little-endian count of milliseconds that is added to the wall clock at every look: a
 * test writes there to set the clock back or forward. For tests alone: clock_begin warns. */
#ifndef LIB_BASE_CLOCK_H
#define LIB_BASE_CLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLOCK_TEST "NEXUS_TEST_CLOCK"

/* In main, before anything reads a clock and threads start: takes the test clock if one is set, and
 * (warns) says so in the log. Ends the process with status 2 when the variable means nothing. */
void clock_begin(bool warns);

/* Milliseconds of the machine's clock that never goes back (CLOCK_MONOTONIC). */
int64_t clock_mono_ms(void);
int64_t clock_mono_us(void);
/* The same for schedules, delays and timeouts. */
int64_t clock_steady_ms(void);
/* How long the machine takes until so much steady time has passed; rounded up. */
int64_t clock_steady_wait_ms(int64_t steady_ms);
/* Milliseconds since 1970-01-01T00:00:00Z; may be set back or forward at any time. */
int64_t clock_wall_ms(void);
void clock_sleep_ms(int64_t ms); /* of the machine's */

#endif
