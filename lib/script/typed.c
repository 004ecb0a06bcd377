#include "lib/script/typed.h"

#include <stdint.h>

#include "lib/base/str.h"
#include "lib/script/moment.h"
#include "lib/text/json.h"

#define DAY_US INT64_C(86400000000)

static json_t *tagged(const char *tag, int64_t v)
{
    json_t *object = json_object();
    json_object_set_new(object, tag, json_integer(v));
    return object;
}

/* NULL: it stays as it is. */
static json_t *typed(const char *type, const json_t *value)
{
    int64_t v;
    bool is_date;
    if (str_eq(type, "duration"))
        return js_duration_ms(value, &v) ? tagged("duration_us", v * 1000) : NULL;
    bool date = str_eq(type, "date");
    if ((!date && !str_eq(type, "time")) || !json_is_string(value) ||
        !moment_parse(json_string_value(value), &v, &is_date) || (date && !is_date))
        return NULL;
    int64_t days = v / DAY_US - (v % DAY_US < 0);
    return date ? tagged("date_days", days) : tagged("timestamp_us", v);
}

void params_type(json_t *params, const json_t *declared)
{
    for (size_t i = 0; i < json_array_size(declared); i++) {
        const json_t *param = json_array_get(declared, i);
        const char *name = js_get_text(param, "name", "");
        const json_t *value = json_object_get(params, name);
        json_t *better = value ? typed(js_get_text(param, "type", ""), value) : NULL;
        if (better)
            json_object_set_new(params, name, better);
    }
}
