/* The fire times of cron expressions, for tests/conformance/test_zones.
 *
 *     fire_times [FOLDER]
 *
 * reads lines `next|last ZONE FROM UNTIL EXPRESSION`, FROM and UNTIL in milliseconds since 1970,
 * and answers each with the times t, FROM <= t < UNTIL, as 64-bit numbers of the machine: how many,
 * then they, ascending by cron_next, or descending by cron_prev. FOLDER is the tz database. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/str.h"
#include "lib/base/vec.h"
#include "lib/text/cron.h"
#include "lib/text/zone_file.h"

#define LINE_MAX_BYTES 1024

static _Noreturn void stop(const char *line, const char *why)
{
    fprintf(stderr, "fire_times: %s: %s\n", line, why);
    exit(1);
}

/* The last zone stays: many lines in a row ask for the same. */
struct world {
    const char *folder;
    char name[LINE_MAX_BYTES];
    struct zone *zone;
};

static const struct zone *zone_of(struct world *world, const char *name)
{
    struct nx_err err;
    if (str_eq(name, world->name))
        return world->zone;
    zone_free(world->zone);
    if (!zone_file_load(world->folder, name, &world->zone, &err))
        stop(name, err.text);
    (void)str_copy(world->name, sizeof world->name, name);
    return world->zone;
}

struct times {
    VEC(int64_t) list;
};

static void find(const char *way, const struct cron *cron, const struct zone *zone, int64_t from_ms,
                 int64_t until_ms, struct times *times)
{
    int64_t at, next, last;
    if (str_eq(way, "next")) {
        for (at = from_ms - 1; cron_next(cron, zone, at, &at) && at < until_ms;)
            vec_push(&times->list, at);
    } else if (str_eq(way, "prev")) {
        for (at = until_ms; cron_prev(cron, zone, at - 1, &at) && at >= from_ms;)
            vec_push(&times->list, at);
    } else {
        for (at = from_ms; at < until_ms; at += 600000) {
            if (!cron_next(cron, zone, at, &next) || !cron_prev(cron, zone, at, &last))
                stop(way, "no such time");
            vec_push(&times->list, next);
            vec_push(&times->list, last);
        }
    }
}

static void answer(struct world *world, const char *line)
{
    char way[8], name[LINE_MAX_BYTES];
    int64_t from_ms, until_ms;
    int n = 0;
    struct cron cron;
    struct nx_err err;
    struct times times = {0};
    if (sscanf(line, "%7s %1000s %" SCNd64 " %" SCNd64 " %n", way, name, &from_ms, &until_ms, &n) <
            4 ||
        !n)
        stop(line, "not understood");
    if (!cron_parse(line + n, 0, &cron, NULL, NULL, &err))
        stop(line, err.text);
    const struct zone *zone = zone_of(world, name);
    find(way, &cron, zone, from_ms, until_ms, &times);
    int64_t n_times = (int64_t)times.list.n;
    fwrite(&n_times, sizeof n_times, 1, stdout);
    if (n_times)
        fwrite(times.list.at, sizeof *times.list.at, times.list.n, stdout);
    fflush(stdout);
    vec_fini(&times.list);
}

int main(int argc, char **argv)
{
    struct world world = {.folder = argc > 1 ? argv[1] : zone_file_folder()};
    char line[LINE_MAX_BYTES];
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        answer(&world, line);
    }
    zone_free(world.zone);
    return 0;
}
