/* JSON: any bytes are a value or an error; what a value is written as reads back as the same. */
#include "lib/base/must.h"
#include "lib/text/json.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nx_err err = {0};
    struct buf text;
    json_t *value = js_read((const char *)data, size, "fuzz.json", &err), *again;
    if (value) {
        buf_init(&text);
        js_add(&text, value);
        again = js_read(buf_text(&text), text.len, "again", &err);
        must(again != NULL && json_equal(value, again));
        json_decref(again);
        buf_clear(&text);
        js_add_canonical(&text, value);
        again = js_read(buf_text(&text), text.len, "again", &err);
        must(again != NULL && json_equal(value, again));
        json_decref(again);
        json_decref(value);
        buf_fini(&text);
    }
    buf_init(&text);
    js_add_string(&text, (const char *)data, size < 4096 ? size : 4096);
    buf_fini(&text);
    return 0;
}
