/* The small parsers of lib/base: durations, sizes, numbers, instants, ids, names, patterns, UTF-8.
 * The text is cut at the first newline into a pattern and a subject. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/time.h"
#include "tests/fuzz/fuzz.h"

static void numbers(const char *s)
{
    int64_t v, again;
    double d;
    char text[64];
    if (str_parse_duration(s, &v)) {
        must(v >= 0);
        must(str_parse_duration(str_format_duration(text, sizeof text, v), &again) && again == v);
    }
    if (str_parse_size(s, &v))
        must(v >= 0);
    (void)str_parse_int(s, &v);
    (void)str_parse_double(s, &d);
    if (time_parse(s, &v))
        must(time_parse(time_format(text, v), &again) && again == v);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"train", "split", "evaluate", "", "data.sql"};
    size_t bad = 0;
    if (size > 512)
        return 0;
    if (!str_is_utf8((const char *)data, size, &bad))
        must(bad < size);
    char *text = mem_strndup((const char *)data, size);
    char *line = strchr(text, '\n');
    numbers(text);
    (void)str_is_id(text, size & 1);
    (void)str_nearest(text, names, sizeof names / sizeof *names);
    if (line) {
        *line = 0;
        (void)str_glob(text, line + 1, true);
        (void)str_glob(text, line + 1, false);
    }
    mem_free(text);
    return 0;
}
