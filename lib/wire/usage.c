#include "lib/wire/usage.h"

#include <string.h>

#include "lib/base/must.h"

int64_t usage_interval_ms(int64_t age_ms)
{
    int64_t interval = USAGE_EVERY_MS;
    while (interval <= INT64_MAX / USAGE_SHOWN / 2 && age_ms > interval * USAGE_SHOWN)
        interval *= 2;
    return interval;
}

/*   at u64 | age u64 | span u32 | cpu in 100 us u32 | rss in KiB u48 | processes u16 */
void usage_encode(struct buf *buf, const struct usage_record *record)
{
    must(record->age_ms >= 0 && record->rss_bytes >= 0 && record->cpu_us >= 0);
    uint64_t kib = (uint64_t)record->rss_bytes / 1024, cpu = (uint64_t)record->cpu_us / 100;
    buf_u64(buf, (uint64_t)record->at_ms);
    buf_u64(buf, (uint64_t)record->age_ms);
    buf_u32(buf, record->span_ms);
    buf_u32(buf, cpu < UINT32_MAX ? (uint32_t)cpu : UINT32_MAX);
    buf_u32(buf, (uint32_t)kib);
    buf_u16(buf, (uint16_t)(kib >> 32));
    buf_u16(buf, record->n_processes < UINT16_MAX ? (uint16_t)record->n_processes : UINT16_MAX);
}

static uint64_t take(const uint8_t **p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = n; i-- > 0;)
        v = v << 8 | (*p)[i];
    *p += n;
    return v;
}

static struct usage_record read_one(const uint8_t *p)
{
    struct usage_record record;
    record.at_ms = (int64_t)take(&p, 8);
    record.age_ms = (int64_t)take(&p, 8);
    record.span_ms = (uint32_t)take(&p, 4);
    record.cpu_us = (int64_t)take(&p, 4) * 100;
    record.rss_bytes = (int64_t)take(&p, 4) * 1024;
    record.rss_bytes += ((int64_t)take(&p, 2) << 32) * 1024;
    record.n_processes = (uint32_t)take(&p, 2);
    return record;
}

/* Whether it can follow: ages grow, spans do not overlap. */
static bool follows(const struct usage_record *record, int64_t age_ms)
{
    return record->age_ms > age_ms && record->age_ms <= INT64_MAX / 4 && record->span_ms > 0 &&
           (int64_t)record->span_ms <= record->age_ms && record->at_ms >= 0 &&
           record->at_ms <= INT64_MAX / 4;
}

static void join(struct usage_record *to, const struct usage_record *record)
{
    uint64_t span = (uint64_t)to->span_ms + record->span_ms;
    to->at_ms = record->at_ms;
    to->age_ms = record->age_ms;
    to->span_ms = span < UINT32_MAX ? (uint32_t)span : UINT32_MAX;
    to->cpu_us += record->cpu_us;
    if (record->rss_bytes > to->rss_bytes)
        to->rss_bytes = record->rss_bytes;
    if (record->n_processes > to->n_processes)
        to->n_processes = record->n_processes;
}

/* Of those that end in the same interval one is shown. A record that comes a little late is of the
 * interval before, else every now and then one would be empty and the next one full. */
static int64_t place_of(const struct usage_record *record, int64_t interval_ms)
{
    return (record->age_ms - 1) / interval_ms;
}

size_t usage_decode(const void *p, size_t n, struct usage_record shown[USAGE_SHOWN],
                    int64_t *interval_ms)
{
    const uint8_t *at = p;
    size_t n_records = n / USAGE_RECORD_BYTES, n_shown = 0;
    int64_t age = 0, last = -1;
    if (n_records > USAGE_RECORDS_MAX)
        n_records = USAGE_RECORDS_MAX;
    for (size_t i = 0; i < n_records; i++) {
        const struct usage_record record = read_one(at + i * USAGE_RECORD_BYTES);
        if (follows(&record, age))
            age = record.age_ms;
    }
    *interval_ms = usage_interval_ms(age);
    age = 0;
    for (size_t i = 0; i < n_records; i++) {
        const struct usage_record record = read_one(at + i * USAGE_RECORD_BYTES);
        if (!follows(&record, age))
            continue;
        age = record.age_ms;
        int64_t place = place_of(&record, *interval_ms);
        if (n_shown && (place == last || n_shown == USAGE_SHOWN))
            join(&shown[n_shown - 1], &record);
        else
            shown[n_shown++] = record;
        last = place;
    }
    return n_shown;
}
