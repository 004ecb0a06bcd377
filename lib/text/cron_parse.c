/* Reads cron expressions. */
#include <string.h>
#include <strings.h>

#include "lib/base/str.h"
#include "lib/text/cron_text.h"

enum { MINUTE, HOUR, DAY, MONTH, WEEKDAY, FIELDS };

struct field {
    const char *name;
    int low, high;
    const char *unit, *at;    /* 2 units a step; it fires "at" a value */
    const char *const *names; /* of values, by their first three letters; or NULL */
};

static const struct field fields[FIELDS] = {
    [MINUTE] = {"minute", 0, 59, "minute", "at", NULL},
    [HOUR] = {"hour", 0, 23, "hour", "at", NULL},
    [DAY] = {"day of month", 1, 31, "day", "on day", NULL},
    [MONTH] = {"month", 1, 12, "month", "in", cron_month_names},
    [WEEKDAY] = {"day of week", 0, 6, "day", "on", cron_weekday_names},
};

static const struct {
    const char *name, *text;
} presets[] = {
    {"@hourly", "0 * * * *"}, {"@daily", "0 0 * * *"},    {"@midnight", "0 0 * * *"},
    {"@weekly", "0 0 * * 0"}, {"@monthly", "0 0 1 * *"},  {"@quarterly", "0 0 1 */3 *"},
    {"@yearly", "0 0 1 1 *"}, {"@annually", "0 0 1 1 *"},
};
#define PRESETS (sizeof presets / sizeof *presets)

struct parser {
    const char *text;        /* the expression */
    const char *begin, *end; /* the field */
    const char *at;          /* not beyond end */
    int index;
    const struct field *field;
    uint64_t seed;
    struct cron *cron;
    struct cron_warnings *warnings;
    const char *stepped_star[FIELDS]; /* `*` with a step in that field, or NULL */
    size_t *offset;
    struct nx_err *err;
};

/* One item of a list. */
struct item {
    const char *begin;
    int low, high, step;
    bool open; /* goes to the end of the field */
};

static void mark(const struct parser *p, const char *at)
{
    if (p->offset)
        *p->offset = (size_t)(at - p->text);
}

static struct cron_warning *add_warning(const struct parser *p, const char *at)
{
    if (!p->warnings || p->warnings->n == CRON_WARNINGS_MAX)
        return NULL;
    struct cron_warning *warning = &p->warnings->at[p->warnings->n++];
    *warning = (struct cron_warning){.offset = (size_t)(at - p->text)};
    return warning;
}

static char peek(const struct parser *p)
{
    return p->at < p->end ? *p->at : 0;
}

static bool take(struct parser *p, char wanted)
{
    if (peek(p) != wanted)
        return false;
    p->at++;
    return true;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Up to the item's end. */
static int rest(const struct parser *p, const char *from)
{
    const char *comma = memchr(from, ',', (size_t)(p->end - from));
    return (int)((comma ? comma : p->end) - from);
}

static bool not_understood(const struct parser *p, const char *at)
{
    mark(p, at);
    if (at == p->end || *at == ',')
        return nx_fail(p->err, NX_E_INVALID, "%s '%.*s': a value is missing", p->field->name,
                       (int)(p->end - p->begin), p->begin);
    if (*at == '?')
        return nx_fail(p->err, NX_E_INVALID, "%s: there is no '?'; write '*'", p->field->name);
    return nx_fail(p->err, NX_E_INVALID, "%s '%.*s': '%.*s' is not understood", p->field->name,
                   (int)(p->end - p->begin), p->begin, rest(p, at), at);
}

/* ---- Values ---- */

static uint64_t hash_of(const struct parser *p)
{
    /* splitmix64's finish (Steele, Lea, Flood 2014). */
    uint64_t h = p->seed + (uint64_t)(p->index + 1) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ h >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    h = (h ^ h >> 27) * UINT64_C(0x94d049bb133111eb);
    return h ^ h >> 31;
}

static bool take_digits(struct parser *p, int *value)
{
    const char *begin = p->at;
    *value = 0;
    for (; is_digit(peek(p)); p->at++)
        *value = *value < 1000 ? *value * 10 + (*p->at - '0') : *value;
    return p->at > begin;
}

static bool take_name(struct parser *p, int *value)
{
    const char *begin = p->at;
    while (is_letter(peek(p)))
        p->at++;
    int n = (int)(p->at - begin);
    for (int i = p->field->low; p->field->names && i <= p->field->high; i++) {
        const char *name = p->field->names[i];
        if (n < 3 || strncasecmp(begin, name, 3) != 0)
            continue;
        *value = i;
        if (n == 3)
            return true;
        mark(p, begin);
        return nx_fail(p->err, NX_E_INVALID, "%s: '%.*s' is no name; did you mean '%.3s'?",
                       p->field->name, n, begin, name);
    }
    if (!p->field->names)
        return not_understood(p, begin);
    mark(p, begin);
    return nx_fail(p->err, NX_E_INVALID, "%s: '%.*s' is no name; names are '%.3s' to '%.3s'",
                   p->field->name, n, begin, p->field->names[p->field->low],
                   p->field->names[p->field->high]);
}

/* A number or name; Sunday may be 7. */
static bool take_value(struct parser *p, int *value)
{
    const char *begin = p->at;
    int high = p->index == WEEKDAY ? 7 : p->field->high;
    if (is_letter(peek(p)))
        return take_name(p, value);
    if (!take_digits(p, value))
        return not_understood(p, begin);
    if (*value >= p->field->low && *value <= high)
        return true;
    mark(p, begin);
    return nx_fail(p->err, NX_E_INVALID, "%s '%.*s' is not between %d and %d", p->field->name,
                   (int)(p->at - begin), begin, p->field->low, high);
}

/* What follows the '-' of a range. */
static bool take_range_end(struct parser *p, struct item *item)
{
    if (!take_value(p, &item->high))
        return false;
    if (p->index == WEEKDAY && item->high == 0 && item->low > 0)
        item->high = 7;
    if (item->low <= item->high)
        return true;
    mark(p, item->begin);
    return nx_fail(p->err, NX_E_INVALID, "%s '%.*s' runs backwards; write '%d-%d,%d-%d'",
                   p->field->name, (int)(p->at - item->begin), item->begin, item->low,
                   p->field->high, p->field->low, item->high);
}

static bool take_step(struct parser *p, struct item *item)
{
    int size = p->field->high - p->field->low + 1;
    const char *begin = p->at;
    if (!take_digits(p, &item->step))
        return not_understood(p, begin);
    if (item->step >= 1 && item->step <= size)
        return true;
    mark(p, begin);
    return nx_fail(p->err, NX_E_INVALID, "%s '%.*s': a step is between 1 and %d", p->field->name,
                   (int)(p->at - item->begin), item->begin, size);
}

/* ---- Items ---- */

/* What follows an 'H'. */
static bool take_hash(struct parser *p, struct item *item)
{
    item->open = true;
    if (p->index == DAY)
        item->high = 28;
    if (take(p, '(')) {
        item->open = false;
        if (!take_value(p, &item->low))
            return false;
        if (!take(p, '-'))
            return not_understood(p, p->at);
        if (!take_range_end(p, item))
            return false;
        if (!take(p, ')'))
            return not_understood(p, p->at);
    }
    bool stepped = take(p, '/');
    if (stepped && !take_step(p, item))
        return false;
    int choices = item->high - item->low + 1;
    if (stepped && item->step < choices)
        choices = item->step;
    item->low += (int)((hash_of(p) >> 32) * (uint64_t)choices >> 32);
    if (!stepped)
        item->high = item->low;
    return true;
}

/* What follows a value's '#': the day is set. */
static bool take_nth(struct parser *p, int weekday)
{
    const char *begin = p->at;
    int n;
    if (!take_digits(p, &n))
        return not_understood(p, begin);
    if (n < 1 || n > 5) {
        mark(p, begin);
        return nx_fail(p->err, NX_E_INVALID, "day of week: '#%.*s' is not between #1 and #5",
                       (int)(p->at - begin), begin);
    }
    p->cron->weekdays[weekday % 7] |= (uint8_t)(1u << (n - 1));
    return true;
}

static void set_value(struct parser *p, int value)
{
    struct cron *cron = p->cron;
    if (p->index == MINUTE)
        cron->minutes |= UINT64_C(1) << value;
    else if (p->index == HOUR)
        cron->hours |= UINT32_C(1) << value;
    else if (p->index == DAY)
        cron->days |= UINT32_C(1) << value;
    else if (p->index == MONTH)
        cron->months |= (uint16_t)(1u << value);
    else
        cron->weekdays[value % 7] = 31;
}

/* A step over a whole field that does not divide it. */
static void warn_of_step(struct parser *p, const struct item *item)
{
    int size = p->field->high - p->field->low + 1, last = item->low;
    bool whole = item->open || (item->low == p->field->low && item->high >= p->field->high);
    struct cron_warning *warning;
    if (!whole || size % item->step == 0 || !(warning = add_warning(p, item->begin)))
        return;
    struct cron_text text = {warning->text, sizeof warning->text, 0};
    uint64_t set = 0;
    for (int v = item->low; v <= item->high; last = v, v += item->step)
        set |= UINT64_C(1) << (p->index == WEEKDAY ? v % 7 : v);
    cron_text_add(&text, "%s '%.*s' is not every %d %ss: it fires %s ", p->field->name,
                  (int)(p->at - item->begin), item->begin, item->step, p->field->unit,
                  p->field->at);
    cron_text_set(&text, set, p->field->names);
    if (p->index == DAY) {
        cron_text_add(&text, ", and begins again with each month");
        return;
    }
    int gap = size - last + item->low;
    cron_text_add(&text, ", then again %s ", p->field->at);
    cron_text_set(&text, UINT64_C(1) << item->low, p->field->names);
    cron_text_add(&text, " after %d %s%s", gap, p->field->unit, gap == 1 ? "" : "s");
}

static bool take_item(struct parser *p)
{
    struct item item = {p->at, p->field->low, p->field->high, 1, false};
    bool hashed = peek(p) == 'H' || peek(p) == 'h';
    if (p->index == DAY && (take(p, 'L') || take(p, 'l'))) {
        p->cron->days |= 1;
        return true;
    }
    if (take(p, '*')) {
        item.open = true;
        p->cron->every_real_hour |= p->index == HOUR;
        if (peek(p) == '/')
            p->stepped_star[p->index] = item.begin;
    } else if (hashed) {
        p->at++;
        if (!take_hash(p, &item))
            return false;
    } else {
        if (!take_value(p, &item.low))
            return false;
        if (p->index == WEEKDAY && take(p, '#'))
            return take_nth(p, item.low);
        if (!take(p, '-')) {
            item.low = p->index == WEEKDAY ? item.low % 7 : item.low;
            item.open = peek(p) == '/';
            item.high = item.open ? item.high : item.low;
        } else if (!take_range_end(p, &item)) {
            return false;
        }
    }
    if (!hashed && take(p, '/') && !take_step(p, &item))
        return false;
    for (int v = item.low; v <= item.high; v += item.step)
        set_value(p, v);
    warn_of_step(p, &item);
    return true;
}

static bool take_field(struct parser *p)
{
    if (p->end - p->begin == 1 && *p->begin == '*') {
        p->cron->any_day |= p->index == DAY;
        p->cron->any_weekday |= p->index == WEEKDAY;
    }
    do {
        if (!take_item(p))
            return false;
        if (p->at < p->end && *p->at != ',')
            return not_understood(p, p->at);
    } while (take(p, ','));
    return true;
}

/* ---- Expressions ---- */

static bool can_fire(const struct cron *cron)
{
    static const int longest[13] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (cron->any_day || !cron->any_weekday || cron->days & 1)
        return true;
    for (int month = 1; month <= 12; month++) {
        if (cron->months >> month & 1 && __builtin_ctz(cron->days) <= longest[month])
            return true;
    }
    return false;
}

static void warn_of_either(const struct parser *p)
{
    for (int index = DAY; index <= WEEKDAY; index += WEEKDAY - DAY) {
        struct cron_warning *warning;
        const char *star = p->stepped_star[index];
        if (!star || p->cron->any_day || p->cron->any_weekday || !(warning = add_warning(p, star)))
            continue;
        struct cron_text text = {warning->text, sizeof warning->text, 0};
        cron_text_add(&text,
                      "%s '%.*s' is a restriction, and so is %s; a day that either names fires: ",
                      fields[index].name, (int)strcspn(star, ", \t\r\n"), star,
                      fields[index == DAY ? WEEKDAY : DAY].name);
        cron_text_days(&text, p->cron);
    }
}

static const char *skip_blanks(const char *s)
{
    return s + strspn(s, " \t\r\n");
}

static bool parse_fields(struct parser *p)
{
    const char *begins[FIELDS], *s = skip_blanks(p->text);
    int n = 0;
    for (; *s; s = skip_blanks(s + strcspn(s, " \t\r\n")), n++) {
        if (n < FIELDS)
            begins[n] = s;
    }
    if (n != FIELDS) {
        mark(p, p->text);
        return nx_fail(p->err, NX_E_INVALID,
                       "a cron expression has 5 fields, minute, hour, day of month, month and day "
                       "of week; this one has %d",
                       n);
    }
    for (p->index = 0; p->index < FIELDS; p->index++) {
        p->field = &fields[p->index];
        p->at = p->begin = begins[p->index];
        p->end = p->begin + strcspn(p->begin, " \t\r\n");
        if (!take_field(p))
            return false;
    }
    if (can_fire(p->cron)) {
        warn_of_either(p);
        return true;
    }
    mark(p, begins[DAY]);
    return nx_fail(p->err, NX_E_INVALID, "it never fires: no month that it names has such a day");
}

static bool no_preset(const struct parser *p, const char *name, size_t n)
{
    const char *names[PRESETS];
    char text[CRON_TEXT_MAX + 1];
    for (size_t i = 0; i < PRESETS; i++)
        names[i] = presets[i].name;
    memcpy(text, name, n);
    text[n] = 0;
    mark(p, name);
    const char *nearest = str_nearest(text, names, PRESETS);
    if (nearest)
        return nx_fail(p->err, NX_E_INVALID, "there is no preset '%s'; did you mean '%s'?", text,
                       nearest);
    return nx_fail(p->err, NX_E_INVALID,
                   "there is no preset '%s'; there are @hourly, @daily, @weekly, @monthly, "
                   "@quarterly and @yearly",
                   text);
}

bool cron_parse(const char *text, uint64_t seed, struct cron *cron, struct cron_warnings *warnings,
                size_t *offset, struct nx_err *err)
{
    struct cron made = {0};
    struct cron_warnings found = {0};
    struct parser p = {.text = text,
                       .seed = seed,
                       .cron = &made,
                       .warnings = &found,
                       .offset = offset,
                       .err = err};
    if (strlen(text) > CRON_TEXT_MAX) {
        mark(&p, text);
        return nx_fail(err, NX_E_LIMIT, "a cron expression has at most %d bytes", CRON_TEXT_MAX);
    }
    const char *name = skip_blanks(text);
    if (*name == '@') {
        size_t n = strcspn(name, " \t\r\n"), i = 0;
        while (i < PRESETS &&
               (strlen(presets[i].name) != n || strncasecmp(name, presets[i].name, n) != 0))
            i++;
        if (i == PRESETS || *skip_blanks(name + n))
            return no_preset(&p, name, strlen(name));
        p.text = presets[i].text;
    }
    if (!parse_fields(&p))
        return false;
    *cron = made;
    if (warnings)
        *warnings = found;
    return true;
}
