/* The table of routes, for what is made of it. */
#ifndef SCHEDULER_PORT_API_ROUTE_H
#define SCHEDULER_PORT_API_ROUTE_H

#include "scheduler/port/api_call.h"

const struct route *route_at(size_t i); /* NULL behind the last */
/* Splits a path's next segment off, n bytes at *segment; false at the end. */
bool route_next_segment(const char **path, const char **segment, size_t *n);

#endif
