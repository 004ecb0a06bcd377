/* Texts of the data layer: values out of CSV files, SQL, schemas and descriptions of tables. Any
 * bytes are read or refused; SQL without files comes back as it was. */
#include <string.h>

#include "lib/base/arena.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/data/parse.h"
#include "lib/data/schema.h"
#include "lib/data/sqltext.h"
#include "lib/data/table.h"
#include "tests/fuzz/fuzz.h"

static void values(const char *text, size_t n)
{
    int64_t whole = 0, days, micros;
    bool truth;
    unsigned kinds = parse_kinds(text, n);
    must(!(kinds & PARSE_INT) || (parse_int(text, n, &whole) && parse_is_double(text, n)));
    must(!(kinds & PARSE_DATE) ||
         (parse_date(text, n, &days) && parse_timestamp(text, n, &micros) &&
          micros == days * 86400000000ll));
    must(!(kinds & PARSE_BOOL) || parse_bool(text, n, &truth));
}

static bool put(void *arg, const char *path, struct buf *to, struct nx_err *err)
{
    size_t *n = arg;
    ++*n;
    buf_printf(to, "'%zu'", strlen(path));
    return *n < 100 || nx_fail(err, NX_E_LIMIT, "enough");
}

static void sql(const char *text)
{
    struct buf to;
    struct nx_err err = {0};
    size_t n_files = 0;
    buf_init(&to);
    bool ok = sqltext_files(text, put, &n_files, &to, &err);
    must(!ok || n_files > 0 || strcmp(buf_text(&to), text) == 0);
    must(sqltext_end(text) <= strlen(text));
    buf_fini(&to);
}

static void descriptions(const char *text)
{
    struct arena arena;
    struct schema schema, same;
    struct table_info info;
    struct nx_err err = {0};
    struct buf to;
    arena_init(&arena);
    buf_init(&to);
    if (schema_read(text, &arena, &schema, &err)) {
        schema_write(&schema, &to);
        must(schema_read(buf_text(&to), &arena, &same, &err));
        must(same.n_columns == schema.n_columns);
    }
    buf_clear(&to);
    if (table_info_read(text, &arena, &info, &err)) {
        table_info_write(&info, true, &to);
        must(table_info_read(buf_text(&to), &arena, &info, &err));
    }
    buf_fini(&to);
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = mem_strndup((const char *)data, size);
    values((const char *)data, size);
    sql(text);
    descriptions(text);
    mem_free(text);
    return 0;
}
