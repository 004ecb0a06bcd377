#include "lib/text/zone.h"

#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/time.h"
#include "lib/text/zone_rule.h"

#define DAY_MS INT64_C(86400000)
#define OFFSET_MAX_MS (ZONE_OFFSET_MAX_S * INT64_C(1000))
#define YEAR_10000_MS INT64_C(253402300800000)
#define CHARS_MAX 4096u
#define HEADER_BYTES 44u

/* A change at at_s[i] begins kind[i]; before the first, kind 0 of the file holds. From rule_from_s
 * on, the rule. Everything is in one block of memory. */
struct zone {
    uint32_t n_changes;
    bool ruled;
    int64_t rule_from_s;
    struct zone_rule rule;
    struct zone_kind *kinds;
    uint8_t *kind;
    int64_t at_s[];
};

/* ---- The file ---- */

struct header {
    uint8_t version;
    uint64_t n_ut, n_std, n_leaps, n_changes, n_kinds, n_chars;
};

struct reader {
    const uint8_t *at;
    size_t left;
    struct nx_err *err;
};

static bool broken(struct reader *reader, const char *what)
{
    return nx_fail(reader->err, NX_E_INVALID, "the tz file is broken: %s", what);
}

static uint32_t read_u32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A signed number of 4 or 8 bytes. */
static int64_t read_time(const uint8_t *p, unsigned size)
{
    if (size == 4)
        return (int32_t)read_u32(p);
    return (int64_t)((uint64_t)read_u32(p) << 32 | read_u32(p + 4));
}

static bool read_header(struct reader *reader, struct header *header)
{
    if (reader->left < HEADER_BYTES || memcmp(reader->at, "TZif", 4) != 0)
        return nx_fail(reader->err, NX_E_INVALID, "this is not a tz file (TZif)");
    const uint8_t *p = reader->at;
    *header = (struct header){.version = p[4],
                              .n_ut = read_u32(p + 20),
                              .n_std = read_u32(p + 24),
                              .n_leaps = read_u32(p + 28),
                              .n_changes = read_u32(p + 32),
                              .n_kinds = read_u32(p + 36),
                              .n_chars = read_u32(p + 40)};
    if (header->version != 0 && header->version < '2')
        return broken(reader, "no version begins with that byte");
    reader->at += HEADER_BYTES;
    reader->left -= HEADER_BYTES;
    return true;
}

static uint64_t body_bytes(const struct header *h, unsigned time_size)
{
    return h->n_changes * (time_size + 1) + h->n_kinds * 6 + h->n_chars +
           h->n_leaps * (time_size + 4) + h->n_std + h->n_ut;
}

static bool check_header(struct reader *reader, const struct header *h, unsigned time_size)
{
    if (h->n_leaps)
        return nx_fail(reader->err, NX_E_UNSUPPORTED,
                       "the tz file counts leap seconds; take the zone that is not below right/");
    if (h->n_changes > ZONE_CHANGES_MAX || h->n_kinds > ZONE_TYPES_MAX || h->n_chars > CHARS_MAX)
        return nx_fail(reader->err, NX_E_LIMIT,
                       "the tz file has more than %u transitions, %u types or %u characters",
                       ZONE_CHANGES_MAX, ZONE_TYPES_MAX, CHARS_MAX);
    if (!h->n_kinds || !h->n_chars || (h->n_std && h->n_std != h->n_kinds) ||
        (h->n_ut && h->n_ut != h->n_kinds))
        return broken(reader, "its counts do not fit together");
    if (body_bytes(h, time_size) > reader->left)
        return broken(reader, "it ends too early");
    return true;
}

static bool read_kinds(struct reader *reader, const struct header *h, const uint8_t *p,
                       struct zone *zone)
{
    const char *chars = (const char *)p + h->n_kinds * 6;
    for (size_t i = 0; i < h->n_kinds; i++, p += 6) {
        struct zone_kind *kind = &zone->kinds[i];
        kind->offset_s = (int32_t)read_u32(p);
        kind->is_dst = p[4] == 1;
        if (kind->offset_s < -ZONE_OFFSET_MAX_S || kind->offset_s > ZONE_OFFSET_MAX_S)
            return broken(reader, "an offset is more than a day");
        if (p[4] > 1)
            return broken(reader, "a flag is neither 0 nor 1");
        if (p[5] >= h->n_chars)
            return broken(reader, "an abbreviation is not there");
        size_t n = strnlen(chars + p[5], h->n_chars - p[5]);
        if (n == h->n_chars - p[5] || n >= ZONE_ABBREVIATION_MAX)
            return broken(reader, "an abbreviation does not end");
        memcpy(kind->abbreviation, chars + p[5], n + 1);
    }
    return true;
}

/* Keeps the changes that change something. */
static bool read_changes(struct reader *reader, const struct header *h, unsigned time_size,
                         struct zone *zone)
{
    const uint8_t *times = reader->at, *kinds = reader->at + h->n_changes * time_size;
    uint8_t last = 0;
    for (size_t i = 0; i < h->n_changes; i++) {
        int64_t at_s = read_time(times + i * time_size, time_size);
        if (i > 0 && at_s <= zone->rule_from_s)
            return broken(reader, "its transitions are out of order");
        if (kinds[i] >= h->n_kinds)
            return broken(reader, "a transition has no type");
        zone->rule_from_s = at_s;
        if (zone_kind_eq(&zone->kinds[last], &zone->kinds[kinds[i]]))
            continue;
        last = kinds[i];
        zone->at_s[zone->n_changes] = at_s;
        zone->kind[zone->n_changes++] = last;
    }
    return true;
}

/* The POSIX TZ string between two line ends. */
static bool read_footer(struct reader *reader, struct zone *zone)
{
    const char *text = (const char *)reader->at + 1;
    const char *end = reader->left > 1 ? memchr(text, '\n', reader->left - 1) : NULL;
    if (!end || text[-1] != '\n')
        return broken(reader, "its last line is not there");
    if (end == text)
        return true;
    zone->ruled = zone_rule_parse(&zone->rule, text, (size_t)(end - text));
    return zone->ruled || broken(reader, "its last line is no TZ string");
}

static struct zone *zone_new(const struct header *h)
{
    struct zone *zone = mem_try_alloc(sizeof *zone + h->n_changes * (sizeof *zone->at_s + 1) +
                                      h->n_kinds * sizeof *zone->kinds);
    if (!zone)
        return NULL;
    zone->kinds = (struct zone_kind *)(zone->at_s + h->n_changes);
    zone->kind = (uint8_t *)(zone->kinds + h->n_kinds);
    zone->rule_from_s = INT64_MIN;
    return zone;
}

bool zone_parse(const void *bytes, size_t n, struct zone **zone, struct nx_err *err)
{
    struct reader reader = {bytes, n, err};
    struct header header;
    unsigned time_size = 4;
    if (n > ZONE_BYTES_MAX)
        return nx_fail(err, NX_E_LIMIT, "the tz file is larger than %u bytes", ZONE_BYTES_MAX);
    if (!read_header(&reader, &header))
        return false;
    if (header.version) { /* the same again with 64 bits */
        uint64_t skip = body_bytes(&header, 4);
        if (skip > reader.left)
            return broken(&reader, "it ends too early");
        reader.at += skip;
        reader.left -= skip;
        time_size = 8;
        if (!read_header(&reader, &header))
            return false;
    }
    if (!check_header(&reader, &header, time_size))
        return false;
    struct zone *made = zone_new(&header);
    if (!made)
        return nx_fail(err, NX_E_MEMORY, "no memory for a time zone");
    bool ok = read_kinds(&reader, &header, reader.at + header.n_changes * (time_size + 1), made) &&
              read_changes(&reader, &header, time_size, made);
    if (ok && header.version) {
        reader.at += body_bytes(&header, time_size);
        reader.left -= body_bytes(&header, time_size);
        ok = read_footer(&reader, made);
    }
    if (!ok) {
        zone_free(made);
        return false;
    }
    *zone = made;
    return true;
}

void zone_free(struct zone *zone)
{
    mem_free(zone);
}

/* ---- Instants ---- */

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static int64_t clamp_ms(int64_t ms)
{
    return ms < -ZONE_MS_MAX ? -ZONE_MS_MAX : ms > ZONE_MS_MAX ? ZONE_MS_MAX : ms;
}

static int64_t ms_of(int64_t s)
{
    if (s >= ZONE_MS_MAX / 1000)
        return ZONE_MS_MAX;
    return s <= -(ZONE_MS_MAX / 1000) ? -ZONE_MS_MAX : s * 1000;
}

/* How many changes are at or before that second. */
static size_t n_changes_until(const struct zone *zone, int64_t s)
{
    size_t low = 0, high = zone->n_changes; /* at_s[low - 1] <= s < at_s[high] */
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (zone->at_s[middle] <= s)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

void zone_at(const struct zone *zone, int64_t wall_ms, struct zone_span *span)
{
    static const struct zone_kind utc = {0, false, "UTC"};
    int64_t s = floor_div(clamp_ms(wall_ms), 1000), from_s = INT64_MIN, until_s = INT64_MAX;
    const struct zone_kind *kind = &utc;
    if (zone && zone->ruled && s >= zone->rule_from_s) {
        kind = zone_rule_at(&zone->rule, s, &from_s, &until_s);
        if (from_s < zone->rule_from_s)
            from_s = zone->rule_from_s;
    } else if (zone) {
        size_t n = n_changes_until(zone, s);
        kind = &zone->kinds[n ? zone->kind[n - 1] : 0];
        if (n)
            from_s = zone->at_s[n - 1];
        if (n < zone->n_changes)
            until_s = zone->at_s[n];
        if (zone->ruled && until_s > zone->rule_from_s)
            until_s = zone->rule_from_s;
    }
    *span = (struct zone_span){.from_ms = ms_of(from_s),
                               .until_ms = ms_of(until_s),
                               .offset_s = kind->offset_s,
                               .is_dst = kind->is_dst,
                               .abbreviation = kind->abbreviation};
}

static bool span_alike(const struct zone_span *a, const struct zone_span *b)
{
    return a->offset_s == b->offset_s && a->is_dst == b->is_dst &&
           strcmp(a->abbreviation, b->abbreviation) == 0;
}

bool zone_next_change(const struct zone *zone, int64_t after_ms, int64_t *at_ms)
{
    struct zone_span first, next;
    zone_at(zone, after_ms, &first);
    next = first;
    /* All changes of the file, and 400 years of the rule: then the calendar comes again. */
    for (uint32_t left = ZONE_CHANGES_MAX + 1000; left && next.until_ms < YEAR_10000_MS; left--) {
        int64_t at = next.until_ms;
        zone_at(zone, at, &next);
        must(next.from_ms <= at && next.until_ms > at);
        if (span_alike(&first, &next))
            continue;
        *at_ms = at;
        return true;
    }
    return false;
}

/* ---- Local times ---- */

void zone_civil_of(int64_t local_ms, struct zone_civil *civil)
{
    int64_t days = floor_div(local_ms, DAY_MS), rest = local_ms - days * DAY_MS;
    int64_t weekday = (days + 4) % 7;
    *civil = (struct zone_civil){.hour = (unsigned)(rest / 3600000),
                                 .minute = (unsigned)(rest / 60000 % 60),
                                 .second = (unsigned)(rest / 1000 % 60),
                                 .millisecond = (unsigned)(rest % 1000),
                                 .weekday = (unsigned)(weekday < 0 ? weekday + 7 : weekday)};
    time_civil_from_days(days, &civil->year, &civil->month, &civil->day);
}

int64_t zone_local_of(const struct zone_civil *civil)
{
    int64_t seconds = civil->hour * INT64_C(3600) + civil->minute * INT64_C(60) + civil->second;
    return time_days_from_civil(civil->year, civil->month, civil->day) * DAY_MS + seconds * 1000 +
           civil->millisecond;
}

int64_t zone_local(const struct zone *zone, int64_t wall_ms)
{
    struct zone_span span;
    zone_at(zone, wall_ms, &span);
    return clamp_ms(wall_ms) + span.offset_s * INT64_C(1000);
}

void zone_civil_at(const struct zone *zone, int64_t wall_ms, struct zone_civil *civil)
{
    zone_civil_of(zone_local(zone, wall_ms), civil);
}

int zone_instants(const struct zone *zone, int64_t local_ms, int64_t at_ms[2])
{
    struct zone_span span;
    int64_t local = clamp_ms(local_ms), last = local + OFFSET_MAX_MS;
    int n = 0;
    for (int64_t at = local - OFFSET_MAX_MS; at <= last && n < 2; at = span.until_ms) {
        zone_at(zone, at, &span);
        int64_t shown = local - span.offset_s * INT64_C(1000);
        if (shown >= at && shown < span.until_ms)
            at_ms[n++] = shown;
        if (span.until_ms >= ZONE_MS_MAX)
            break;
    }
    if (n == 0)
        at_ms[0] = zone_first(zone, local);
    return n;
}

int64_t zone_first(const struct zone *zone, int64_t local_ms)
{
    struct zone_span span;
    int64_t local = clamp_ms(local_ms), at = local - OFFSET_MAX_MS;
    for (;; at = span.until_ms) {
        zone_at(zone, at, &span);
        int64_t shown = local - span.offset_s * INT64_C(1000);
        if (shown <= at)
            return at;
        if (shown < span.until_ms || span.until_ms >= ZONE_MS_MAX)
            return shown;
    }
}

int64_t zone_latest(const struct zone *zone, int64_t wall_ms)
{
    struct zone_span span;
    int64_t now = clamp_ms(wall_ms), latest = INT64_MIN;
    for (int64_t at = now; at >= now - 2 * OFFSET_MAX_MS; at = span.from_ms - 1) {
        zone_at(zone, at, &span);
        int64_t shown = at + span.offset_s * INT64_C(1000);
        latest = shown > latest ? shown : latest;
        if (span.from_ms <= -ZONE_MS_MAX)
            break;
    }
    return latest;
}
