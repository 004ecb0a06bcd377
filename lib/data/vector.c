/* DuckDB's types and vectors as ours. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/data/internal.h"

struct fit_row {
    int sql_type;
    const char *shown;
    enum type_fit fit;
    enum table_type type;
    const char *advice;
};

/* clang-format off */
static const struct fit_row fits[] = {
    {DUCKDB_T_BOOLEAN,      "BOOLEAN",      FIT_SAME,   TABLE_BOOL,      NULL},
    {DUCKDB_T_TINYINT,      "TINYINT",      FIT_WIDENS, TABLE_INT64,     NULL},
    {DUCKDB_T_SMALLINT,     "SMALLINT",     FIT_WIDENS, TABLE_INT64,     NULL},
    {DUCKDB_T_INTEGER,      "INTEGER",      FIT_WIDENS, TABLE_INT64,     NULL},
    {DUCKDB_T_BIGINT,       "BIGINT",       FIT_SAME,   TABLE_INT64,     NULL},
    {DUCKDB_T_UTINYINT,     "UTINYINT",     FIT_WIDENS, TABLE_INT64,     NULL},
    {DUCKDB_T_USMALLINT,    "USMALLINT",    FIT_WIDENS, TABLE_INT64,     NULL},
    {DUCKDB_T_UINTEGER,     "UINTEGER",     FIT_WIDENS, TABLE_INT64,     NULL},
    {DUCKDB_T_UBIGINT,      "UBIGINT",      FIT_NOT,    TABLE_INT64,     "bigint"},
    {DUCKDB_T_HUGEINT,      "HUGEINT",      FIT_NOT,    TABLE_INT64,     "bigint"},
    {DUCKDB_T_UHUGEINT,     "UHUGEINT",     FIT_NOT,    TABLE_INT64,     "bigint"},
    {DUCKDB_T_FLOAT,        "FLOAT",        FIT_WIDENS, TABLE_DOUBLE,    NULL},
    {DUCKDB_T_DOUBLE,       "DOUBLE",       FIT_SAME,   TABLE_DOUBLE,    NULL},
    {DUCKDB_T_DECIMAL,      "DECIMAL",      FIT_NOT,    TABLE_DOUBLE,    "double"},
    {DUCKDB_T_VARCHAR,      "VARCHAR",      FIT_SAME,   TABLE_STRING,    NULL},
    {DUCKDB_T_ENUM,         "ENUM",         FIT_WIDENS, TABLE_CATEGORY,  NULL},
    {DUCKDB_T_DATE,         "DATE",         FIT_SAME,   TABLE_DATE,      NULL},
    {DUCKDB_T_TIMESTAMP,    "TIMESTAMP",    FIT_SAME,   TABLE_TIMESTAMP, NULL},
    {DUCKDB_T_TIMESTAMP_S,  "TIMESTAMP_S",  FIT_WIDENS, TABLE_TIMESTAMP, NULL},
    {DUCKDB_T_TIMESTAMP_MS, "TIMESTAMP_MS", FIT_WIDENS, TABLE_TIMESTAMP, NULL},
    {DUCKDB_T_TIMESTAMP_TZ, "TIMESTAMPTZ",  FIT_WIDENS, TABLE_TIMESTAMP, NULL},
    {DUCKDB_T_TIMESTAMP_NS, "TIMESTAMP_NS", FIT_NOT,    TABLE_TIMESTAMP, "timestamp"},
    {DUCKDB_T_LIST,         "LIST",         FIT_NOT,    TABLE_DOUBLES,   "double[]"},
    {DUCKDB_T_ARRAY,        "ARRAY",        FIT_NOT,    TABLE_DOUBLES,   "double[]"},
    {DUCKDB_T_SQLNULL,      "NULL",         FIT_NOT,    TABLE_DOUBLE,    "double"},
    {DUCKDB_T_TIME,         "TIME",         FIT_NOT,    TABLE_STRING,    "varchar"},
    {DUCKDB_T_TIME_TZ,      "TIMETZ",       FIT_NOT,    TABLE_STRING,    "varchar"},
    {DUCKDB_T_INTERVAL,     "INTERVAL",     FIT_NOT,    TABLE_STRING,    "varchar"},
    {DUCKDB_T_BLOB,         "BLOB",         FIT_NOT,    TABLE_STRING,    "varchar"},
    {DUCKDB_T_UUID,         "UUID",         FIT_NOT,    TABLE_STRING,    "varchar"},
    {DUCKDB_T_BIT,          "BIT",          FIT_NOT,    TABLE_STRING,    "varchar"},
    {DUCKDB_T_STRUCT,       "STRUCT",       FIT_NOT,    TABLE_STRING,    "varchar"},
    {DUCKDB_T_MAP,          "MAP",          FIT_NOT,    TABLE_STRING,    "varchar"},
    {DUCKDB_T_UNION,        "UNION",        FIT_NOT,    TABLE_STRING,    "varchar"},
    {DUCKDB_T_INVALID,      "this type",    FIT_NOT,    TABLE_STRING,    "varchar"},
};
/* clang-format on */

static const struct fit_row *fit_find(int sql_type)
{
    size_t last = sizeof fits / sizeof *fits - 1;
    for (size_t i = 0; i < last; i++) {
        if (fits[i].sql_type == sql_type) {
            return &fits[i];
        }
    }
    return &fits[last];
}

bool type_find_sql(const char *name, enum table_type *type)
{
    if (str_eq(name, "DOUBLE[]") || str_eq(name, "FLOAT[]") || str_eq(name, "INTEGER[]")) {
        *type = TABLE_DOUBLES;
        return true;
    }
    if (str_eq(name, "TIMESTAMP WITH TIME ZONE")) {
        *type = TABLE_TIMESTAMP;
        return true;
    }
    if (str_starts(name, "ENUM(")) {
        *type = TABLE_CATEGORY;
        return true;
    }
    for (size_t i = 0; i < sizeof fits / sizeof *fits; i++) {
        if (fits[i].fit != FIT_NOT && str_eq(fits[i].shown, name)) {
            *type = fits[i].type;
            return true;
        }
    }
    return false;
}

static int child_type_of(const struct duckdb_api *api, duckdb_logical logical)
{
    duckdb_logical child = api->list_type_child_type(logical);
    int type = api->get_type_id(child);
    api->destroy_logical_type(&child);
    return type;
}

enum type_fit type_fit(const struct duckdb_api *api, duckdb_logical logical, enum table_type *type,
                       const char **advice)
{
    const struct fit_row *row = fit_find(api->get_type_id(logical));
    *type = row->type;
    *advice = row->advice;
    if (row->sql_type != DUCKDB_T_LIST) {
        return row->fit;
    }
    int child = child_type_of(api, logical);
    if (child == DUCKDB_T_DOUBLE || child == DUCKDB_T_FLOAT || child == DUCKDB_T_INTEGER) {
        *advice = NULL;
        return child == DUCKDB_T_DOUBLE ? FIT_SAME : FIT_WIDENS;
    }
    return FIT_NOT;
}

const char *type_shown(const struct duckdb_api *api, duckdb_logical logical, char *to, size_t size)
{
    int type = api->get_type_id(logical);
    if (type == DUCKDB_T_DECIMAL) {
        snprintf(to, size, "DECIMAL(%d,%d)", api->decimal_width(logical),
                 api->decimal_scale(logical));
    } else if (type == DUCKDB_T_LIST) {
        snprintf(to, size, "%s[]", fit_find(child_type_of(api, logical))->shown);
    } else {
        snprintf(to, size, "%s", fit_find(type)->shown);
    }
    return to;
}

const char *type_sql(enum table_type type)
{
    switch (type) {
    case TABLE_BOOL:
        return "BOOLEAN";
    case TABLE_INT64:
        return "BIGINT";
    case TABLE_DOUBLE:
        return "DOUBLE";
    case TABLE_STRING:
    case TABLE_CATEGORY:
        return "VARCHAR";
    case TABLE_DATE:
        return "DATE";
    case TABLE_TIMESTAMP:
        return "TIMESTAMP";
    case TABLE_DOUBLES:
        return "DOUBLE[]";
    case TABLE_TYPES:
        break;
    }
    must(!"a type");
    return NULL;
}

static void read_categories(struct vector_space *space, const struct duckdb_api *api,
                            duckdb_logical logical)
{
    size_t n = api->enum_dictionary_size(logical);
    char **all = mem_alloc_array(n + 1, sizeof *all);
    for (size_t i = 0; i < n; i++) {
        char *text = api->enum_dictionary_value(logical, i);
        all[i] = mem_strdup(text);
        api->free(text);
    }
    space->categories = (const char *const *)all;
    space->n_categories = n;
    space->index_type = api->enum_internal_type(logical);
}

bool vector_space_init(struct vector_space *space, const struct duckdb_api *api,
                       duckdb_logical logical)
{
    const char *advice;
    *space = (struct vector_space){.sql_type = api->get_type_id(logical)};
    if (type_fit(api, logical, &space->type, &advice) == FIT_NOT) {
        return false;
    }
    size_t n = ROWHASH_ROWS_MAX;
    must(api->vector_size() <= n);
    space->valid = mem_alloc_array(n / 64, sizeof *space->valid);
    switch (space->sql_type) {
    case DUCKDB_T_BOOLEAN:
    case DUCKDB_T_BIGINT:
    case DUCKDB_T_DOUBLE:
    case DUCKDB_T_TIMESTAMP:
    case DUCKDB_T_TIMESTAMP_TZ:
        break;
    case DUCKDB_T_FLOAT:
        space->f = mem_alloc_array(n, sizeof *space->f);
        break;
    case DUCKDB_T_ENUM:
        read_categories(space, api, logical);
        space->text = mem_alloc_array(n, sizeof *space->text);
        break;
    case DUCKDB_T_VARCHAR:
        space->text = mem_alloc_array(n, sizeof *space->text);
        break;
    case DUCKDB_T_LIST:
        space->child_type = child_type_of(api, logical);
        break;
    default:
        space->i = mem_alloc_array(n, sizeof *space->i);
    }
    return true;
}

void vector_space_fini(struct vector_space *space)
{
    for (size_t i = 0; i < space->n_categories; i++) {
        mem_free((char *)(uintptr_t)space->categories[i]);
    }
    mem_free((void *)(uintptr_t)space->categories);
    mem_free(space->i);
    mem_free(space->f);
    mem_free(space->text);
    mem_free(space->valid);
    mem_free(space->child);
    *space = (struct vector_space){0};
}

#define WIDEN(c_type, factor) \
    for (size_t k = 0; k < n; k++) { \
        to[k] = (int64_t)((const c_type *)from)[k] * (factor); \
    }

/* Values under missing bits may be anything; products of those must not overflow. */
static void widen_times(int64_t *to, const int64_t *from, const uint64_t *valid, size_t n,
                        int64_t factor)
{
    for (size_t k = 0; k < n; k++) {
        bool there = !valid || (valid[k / 64] >> (k % 64) & 1);
        if (!there || __builtin_mul_overflow(from[k], factor, &to[k])) {
            to[k] = 0;
        }
    }
}

static void widen_ints(int sql_type, const void *from, const uint64_t *valid, size_t n, int64_t *to)
{
    switch (sql_type) {
    case DUCKDB_T_TINYINT:
        WIDEN(int8_t, 1)
        break;
    case DUCKDB_T_SMALLINT:
        WIDEN(int16_t, 1)
        break;
    case DUCKDB_T_INTEGER:
    case DUCKDB_T_DATE:
        WIDEN(int32_t, 1)
        break;
    case DUCKDB_T_UTINYINT:
        WIDEN(uint8_t, 1)
        break;
    case DUCKDB_T_USMALLINT:
        WIDEN(uint16_t, 1)
        break;
    case DUCKDB_T_UINTEGER:
        WIDEN(uint32_t, 1)
        break;
    case DUCKDB_T_TIMESTAMP_S:
        widen_times(to, from, valid, n, 1000000);
        break;
    case DUCKDB_T_TIMESTAMP_MS:
        widen_times(to, from, valid, n, 1000);
        break;
    default:
        must(!"an integer type");
    }
}

static inline bool is_there(const uint64_t *valid, size_t i)
{
    return !valid || (valid[i / 64] >> (i % 64) & 1);
}

static void convert_text(struct vector_space *space, const duckdb_text *from, const uint64_t *valid,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (is_there(valid, i)) {
            uint32_t length = from[i].inlined.n;
            space->text[i] =
                (struct data_text){length <= 12 ? from[i].inlined.at : from[i].pointer.at, length};
        } else {
            space->text[i] = (struct data_text){"", 0};
        }
    }
}

static void convert_enum(struct vector_space *space, const void *from, const uint64_t *valid,
                         size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t code = 0;
        if (is_there(valid, i)) {
            code = space->index_type == DUCKDB_T_UTINYINT    ? ((const uint8_t *)from)[i]
                   : space->index_type == DUCKDB_T_USMALLINT ? ((const uint16_t *)from)[i]
                                                             : ((const uint32_t *)from)[i];
        }
        const char *text = code < space->n_categories ? space->categories[code] : "";
        space->text[i] = (struct data_text){text, strlen(text)};
    }
}

/* The elements of all lists of a vector, as doubles with NaN for missing. */
static void convert_child(struct vector_space *space, const struct duckdb_api *api,
                          duckdb_vector vector)
{
    duckdb_vector child = api->list_vector_get_child(vector);
    size_t n = api->list_vector_get_size(vector);
    const uint64_t *valid = api->vector_get_validity(child);
    const void *data = api->vector_get_data(child);
    if (n > space->child_cap) {
        space->child = mem_realloc(space->child, n * sizeof *space->child);
        space->child_cap = n;
    }
    for (size_t i = 0; i < n; i++) {
        space->child[i] = !is_there(valid, i)                    ? NAN
                          : space->child_type == DUCKDB_T_DOUBLE ? ((const double *)data)[i]
                          : space->child_type == DUCKDB_T_FLOAT
                              ? (double)((const float *)data)[i]
                              : (double)((const int32_t *)data)[i];
    }
}

/* NaN is missing: clears its bits, in a copy made at the first one. */
static void clear_nans(struct vector_space *space, struct data_vector *to, size_t n)
{
    const double *f = to->as.f;
    bool any = false;
    for (size_t i = 0; i < n; i++) {
        any |= f[i] != f[i];
    }
    if (!any) {
        return;
    }
    for (size_t w = 0; w < (n + 63) / 64; w++) {
        space->valid[w] = to->valid ? to->valid[w] : UINT64_MAX;
    }
    for (size_t i = 0; i < n; i++) {
        if (isnan(f[i])) {
            space->valid[i / 64] &= ~(1ull << (i % 64));
        }
    }
    to->valid = space->valid;
}

void vector_convert(struct vector_space *space, const struct duckdb_api *api, duckdb_vector from,
                    size_t n, struct data_vector *to)
{
    const void *data = api->vector_get_data(from);
    const uint64_t *valid = api->vector_get_validity(from);
    *to = (struct data_vector){.type = space->type, .valid = valid};
    switch (space->sql_type) {
    case DUCKDB_T_BOOLEAN:
        to->as.b = data;
        break;
    case DUCKDB_T_BIGINT:
    case DUCKDB_T_TIMESTAMP:
    case DUCKDB_T_TIMESTAMP_TZ:
        to->as.i = data;
        break;
    case DUCKDB_T_DOUBLE:
        to->as.f = data;
        clear_nans(space, to, n);
        break;
    case DUCKDB_T_FLOAT:
        for (size_t i = 0; i < n; i++) {
            space->f[i] = (double)((const float *)data)[i];
        }
        to->as.f = space->f;
        clear_nans(space, to, n);
        break;
    case DUCKDB_T_VARCHAR:
        convert_text(space, data, valid, n);
        to->as.text = space->text;
        break;
    case DUCKDB_T_ENUM:
        convert_enum(space, data, valid, n);
        to->as.text = space->text;
        break;
    case DUCKDB_T_LIST:
        convert_child(space, api, from);
        to->as.list = data;
        to->child = space->child;
        break;
    default:
        widen_ints(space->sql_type, data, valid, n, space->i);
        to->as.i = space->i;
    }
}
