/* Cron expressions: any text is refused with a place in it, or fires at times that increase and are
 * the same backwards, in a zone whose clocks change too. The first line is the expression; the rest
 * is hashed to the instant at which to begin. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/text/cron.h"
#include "tests/fuzz/fuzz.h"

/* Version 2 with an empty first block, one type and a rule. */
#define HEADER "TZif2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
#define COUNTS "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\4"
#define TYPE "\0\0\0\0\0\0UTC\0"
static const char tz_file[] =
    HEADER COUNTS TYPE HEADER COUNTS TYPE "\nAAA3:30BBB2,M3.5.0/0,M10.5.0/1:30\n";

static void check_times(const struct cron *cron, const struct zone *zone, int64_t after_ms)
{
    int64_t at = after_ms, next, back;
    for (int i = 0; i < 8 && cron_next(cron, zone, at, &next); i++) {
        must(next > at);
        must(cron_prev(cron, zone, next, &back) && back == next);
        must(!cron_prev(cron, zone, next - 1, &back) || back <= at);
        must(cron_next(cron, zone, next - 1, &back) && back == next);
        at = next;
    }
    if (cron_prev(cron, zone, after_ms, &back))
        must(back <= after_ms && (!cron_next(cron, zone, back, &next) || next > after_ms));
}

static uint64_t hash(const uint8_t *data, size_t size)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        h = (h ^ data[i]) * UINT64_C(0x100000001b3);
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct zone *zone;
    struct cron cron;
    struct cron_warnings warnings;
    struct nx_err err;
    char words[CRON_DESCRIBE_MAX];
    size_t offset = 0;
    if (size > 512)
        return 0;
    char *text = mem_strndup((const char *)data, size);
    text[strcspn(text, "\n")] = 0;
    size_t n = strlen(text);
    uint64_t seed = hash(data + n, size - n);
    if (!cron_parse(text, seed, &cron, &warnings, &offset, &err)) {
        must(offset <= n);
        must(err.text[0]);
    } else {
        must(warnings.n <= CRON_WARNINGS_MAX);
        for (size_t i = 0; i < warnings.n; i++)
            must(warnings.at[i].offset < n && strlen(warnings.at[i].text) > 10);
        must(strlen(cron_describe(&cron, words)) > 5);
        must(zone_parse(tz_file, sizeof tz_file - 1, &zone, &err));
        int64_t after_ms = (int64_t)(seed % UINT64_C(8000000000000)); /* until 2223 */
        check_times(&cron, NULL, after_ms);
        check_times(&cron, zone, after_ms);
        zone_free(zone);
    }
    mem_free(text);
    return 0;
}
