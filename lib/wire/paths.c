#include "lib/wire/paths.h"

#include <stdio.h>

/* Whether what snprintf wrote is all there. */
static bool fits(char *to, size_t size, int n)
{
    if (n >= 0 && (size_t)n < size)
        return true;
    if (size)
        to[0] = 0;
    return false;
}

bool attempt_path(char *to, size_t size, const char *home, enum path_kind kind, uint64_t run,
                  const char *task_id, int32_t map, uint32_t attempt)
{
    static const char *const ends[PATH_KINDS] = {"log", "resolved.json", "metrics.jsonl", "usage",
                                                 "stamps"};
    char mapped[16] = "";
    if (map >= 0)
        snprintf(mapped, sizeof mapped, ".%d", map);
    return fits(to, size,
                snprintf(to, size, "%s/logs/%llu/%s%s/%u.%s", home, (unsigned long long)run,
                         task_id, mapped, attempt, ends[kind]));
}

bool run_logs_path(char *to, size_t size, const char *home, uint64_t run)
{
    return fits(to, size, snprintf(to, size, "%s/logs/%llu", home, (unsigned long long)run));
}

bool files_path(char *to, size_t size, const char *home, uint64_t version)
{
    return fits(to, size, snprintf(to, size, "%s/files/%llu", home, (unsigned long long)version));
}
