/* tz files: any bytes are refused, or are a zone in which local times come and go and jobs fire at
 * times that increase. */
#include <stdlib.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/text/cron.h"
#include "tests/fuzz/fuzz.h"

#define CHANGES 12

static void check_instant(const struct zone *zone, int64_t at)
{
    struct zone_span span;
    struct zone_civil civil;
    int64_t both[2];
    zone_at(zone, at, &span);
    must(span.from_ms < span.until_ms);
    must(at < -ZONE_MS_MAX || at >= ZONE_MS_MAX || (span.from_ms <= at && at < span.until_ms));
    must(strlen(span.abbreviation) < ZONE_ABBREVIATION_MAX);
    if (llabs(at) > ZONE_MS_MAX / 2)
        return;
    int64_t local = zone_local(zone, at), first = zone_first(zone, local);
    must(local == at + span.offset_s * INT64_C(1000));
    zone_civil_at(zone, at, &civil);
    must(zone_local_of(&civil) == local);
    int n = zone_instants(zone, local, both);
    must(n >= 1 && first <= both[0] && both[0] <= at);
    must(n == 1 || (both[0] < both[1] && zone_local(zone, both[1]) == local));
    must(zone_local(zone, both[0]) == local);
    must(first <= at && zone_local(zone, first) >= local);
    must(zone_latest(zone, at) >= local && zone_first(zone, zone_latest(zone, at)) <= at);
    must(zone_first(zone, zone_latest(zone, at) + 1) > at);
}

static void check_jobs(const struct zone *zone, int64_t after)
{
    static const char *const texts[] = {"30 2 * * *", "*/20 * * * *", "0 */24 30 3 *"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct cron cron;
        int64_t at = after, next, back;
        must(cron_parse(texts[i], 0, &cron, NULL, NULL, NULL));
        for (int n = 0; n < 3 && cron_next(&cron, zone, at, &next); n++, at = next) {
            must(next > at);
            must(cron_prev(&cron, zone, next, &back) && back == next);
            must(!cron_prev(&cron, zone, next - 1, &back) || back <= at);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t starts[] = {INT64_MIN, -ZONE_MS_MAX,           INT64_C(-62135596800000),
                                     0,         INT64_C(2000000000000), ZONE_MS_MAX,
                                     INT64_MAX};
    struct zone *zone = NULL;
    struct nx_err err;
    if (!zone_parse(data, size, &zone, &err)) {
        must(zone == NULL && err.text[0]);
        return 0;
    }
    for (size_t i = 0; i < sizeof starts / sizeof *starts; i++) {
        int64_t at = starts[i];
        check_instant(zone, at);
        for (int n = 0; n < CHANGES && zone_next_change(zone, at, &at); n++) {
            check_instant(zone, at);
            check_instant(zone, at - 1);
            check_instant(zone, at + 1800000);
            if (n < 2)
                check_jobs(zone, at - 3600000);
        }
    }
    check_jobs(zone, 0);
    zone_free(zone);
    return 0;
}
