/* What the files api_*log*.c share. */
#ifndef SCHEDULER_PORT_API_LOG_H
#define SCHEDULER_PORT_API_LOG_H

#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"
#include "scheduler/port/log_read.h"

/* The members of a line: {offset, bytes, whole, at, stream, group, text}. */
void put_log_line(struct buf *body, const struct log_line *line);
/* GET .../log/lines with from or offset: lines of the log that the path names. */
bool list_log_lines(struct call *call, struct nx_err *err);

#endif
