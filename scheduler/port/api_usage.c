/* What an attempt used of processor and memory, as its worker recorded it while it ran. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/wire/usage.h"
#include "scheduler/port/api_call.h"
#include "scheduler/port/api_json.h"

#define FILE_MAX ((size_t)USAGE_RECORDS_MAX * USAGE_RECORD_BYTES)

static void put_sample(struct buf *body, const struct usage_record *record)
{
    put_open(body, NULL, '{');
    put_time(body, "at", record->at_ms);
    put_number(body, "cpu_cores", round((double)record->cpu_us / record->span_ms) / 1000);
    put_int(body, "rss_bytes", record->rss_bytes);
    put_int(body, "processes", record->n_processes);
    put_close(body, '}');
}

static void put_samples(struct buf *body, const char *p, size_t n)
{
    struct usage_record *records = mem_alloc_array(USAGE_SHOWN, sizeof *records);
    int64_t interval_ms;
    size_t n_records = usage_decode(p, n, records, &interval_ms);
    put_open(body, NULL, '{');
    put_number(body, "interval", (double)interval_ms / 1000);
    put_open(body, "samples", '[');
    for (size_t i = 0; i < n_records; i++)
        put_sample(body, &records[i]);
    put_close(body, ']');
    put_close(body, '}');
    mem_free(records);
}

bool handle_usage(struct call *call, struct nx_err *err)
{
    uint64_t n_bytes;
    int fd;
    if (!attempt_file_open(call, PATH_USAGE, &fd, &n_bytes, err))
        return false;
    size_t n = n_bytes < FILE_MAX ? (size_t)n_bytes : FILE_MAX;
    char *bytes = fd >= 0 ? mem_alloc(n + 1) : NULL;
    ssize_t got = fd >= 0 ? pread(fd, bytes, n, 0) : 0;
    int error = errno;
    if (fd >= 0)
        close(fd);
    if (got >= 0)
        put_samples(&call->body, bytes, (size_t)got);
    mem_free(bytes);
    return got >= 0 ||
           nx_fail(err, NX_E_IO, "cannot read what the attempt used: %s", strerror(error));
}
