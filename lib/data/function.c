/* Functions that our SQL calls: the hash of rows, made by DuckDB's threads as the rows pass, and
 * the buckets of splits. */
#include <dlfcn.h>
#include <link.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/data/internal.h"
#include "lib/data/parse.h"

#define DOUBLE_EXACT 9007199254740992.0 /* 2^53 */

typedef void *(*extra_info_get)(duckdb_info info);

/* The database a call belongs to. It is the function's extra info, and what reads that is found
 * through the library that called us (`caller`), since our table of its functions hangs on the
 * database and there is no global. Some microseconds for each 2,048 rows (dladdr would take a
 * thousand times as long: it reads all of the library's symbols). */
static struct data_db *db_of(duckdb_info info, void *caller)
{
    struct dl_find_object where;
    must(_dl_find_object(caller, &where) == 0);
    void *library = dlopen(where.dlfo_link_map->l_name, RTLD_NOW | RTLD_NOLOAD);
    must(library);
    void *found = dlsym(library, "duckdb_scalar_function_get_extra_info");
    must(found);
    extra_info_get get;
    memcpy(&get, &found, sizeof get);
    dlclose(library);
    return get(info);
}

/* Takes the columns of a chunk into h, which was begun. */
static bool take_chunk(const struct duckdb_api *api, duckdb_info info, duckdb_chunk input, size_t n,
                       struct rowhash *h)
{
    size_t n_columns = api->data_chunk_get_column_count(input);
    for (size_t c = 0; c < n_columns; c++) {
        duckdb_vector from = api->data_chunk_get_vector(input, c);
        duckdb_logical logical = api->vector_get_column_type(from);
        struct vector_space space;
        struct data_vector column;
        bool ok = vector_space_init(&space, api, logical);
        api->destroy_logical_type(&logical);
        if (!ok) {
            api->scalar_function_set_error(info, "no hash of a type that tables do not keep");
            return false;
        }
        vector_convert(&space, api, from, n, &column);
        rowhash_take(h, &column, n);
        vector_space_fini(&space);
    }
    return true;
}

/* nexus_rowhash(column, ...): true, and the rows are added to db->hash. */
static void run_rowhash(duckdb_info info, duckdb_chunk input, duckdb_vector output)
{
    struct data_db *db = db_of(info, __builtin_return_address(0));
    const struct duckdb_api *api = &db->api;
    size_t n = api->data_chunk_get_size(input);
    struct rowhash h;
    struct table_hash sum = {0, 0};
    rowhash_begin(&h, db->hash.schema, n);
    if (!take_chunk(api, info, input, n, &h)) {
        return;
    }
    rowhash_add(&h, n, &sum);
    memset(api->vector_get_data(output), 1, n);
    pthread_mutex_lock(&db->hash.mutex);
    db->hash.sum = rowhash_sum(db->hash.sum, sum);
    db->hash.n_rows += (int64_t)n;
    pthread_mutex_unlock(&db->hash.mutex);
}

/* nexus_bucket(seed, column, ...): evenly spread over 0 .. 2^53 - 1 (exact as a double too). */
static void run_bucket(duckdb_info info, duckdb_chunk input, duckdb_vector output)
{
    struct data_db *db = db_of(info, __builtin_return_address(0));
    const struct duckdb_api *api = &db->api;
    size_t n = api->data_chunk_get_size(input);
    uint64_t buckets[ROWHASH_ROWS_MAX];
    struct rowhash h;
    rowhash_begin(&h, rowhash_schema(NULL, 0), n);
    if (!take_chunk(api, info, input, n, &h)) {
        return;
    }
    rowhash_buckets(&h, n, buckets);
    int64_t *to = api->vector_get_data(output);
    for (size_t i = 0; i < n; i++) {
        to[i] = (int64_t)(buckets[i] >> 11);
    }
}

/* The column's name, which is the second argument of functions that may fail. */
static struct data_text name_of(const struct duckdb_api *api, duckdb_chunk input)
{
    const duckdb_text *name = api->vector_get_data(api->data_chunk_get_vector(input, 1));
    uint32_t n = name->inlined.n;
    return (struct data_text){n <= sizeof name->inlined.at ? name->inlined.at : name->pointer.at,
                              n};
}

static void fail_value(const struct duckdb_api *api, duckdb_info info, duckdb_chunk input,
                       const char *type, const char *value, size_t n)
{
    char text[512];
    struct data_text name = name_of(api, input);
    snprintf(text, sizeof text, "column '%.*s' is %s, but has '%.*s'", (int)name.n, name.at, type,
             (int)(n < 100 ? n : 100), value);
    api->scalar_function_set_error(info, text);
}

/* The validity of the output, that of the input; NULL when nothing is missing. */
static const uint64_t *copy_valid(const struct duckdb_api *api, duckdb_vector from,
                                  duckdb_vector to, size_t n)
{
    const uint64_t *valid = api->vector_get_validity(from);
    if (valid) {
        api->vector_ensure_validity_writable(to);
        memcpy(api->vector_get_validity(to), valid, (n + 63) / 64 * sizeof *valid);
    }
    return valid;
}

static bool is_there(const uint64_t *valid, size_t i)
{
    return !valid || (valid[i / 64] >> (i % 64) & 1);
}

/* nexus_whole(double, name) -> BIGINT: an error for what is not an integer. */
static void run_whole(duckdb_info info, duckdb_chunk input, duckdb_vector output)
{
    struct data_db *db = db_of(info, __builtin_return_address(0));
    const struct duckdb_api *api = &db->api;
    size_t n = api->data_chunk_get_size(input);
    duckdb_vector from = api->data_chunk_get_vector(input, 0);
    const double *v = api->vector_get_data(from);
    const uint64_t *valid = copy_valid(api, from, output, n);
    int64_t *to = api->vector_get_data(output);
    for (size_t i = 0; i < n; i++) {
        if (!is_there(valid, i)) {
            continue;
        }
        if (!(v[i] >= -DOUBLE_EXACT && v[i] <= DOUBLE_EXACT && v[i] == floor(v[i]))) {
            char text[32];
            int length = snprintf(text, sizeof text, "%.17g", v[i]);
            fail_value(api, info, input, "int64", text, (size_t)length);
            return;
        }
        to[i] = (int64_t)v[i];
    }
}

/* Texts of a column to values of `type`, into the output's memory. */
static bool parse_one(enum table_type type, const char *text, size_t n, void *to, size_t i)
{
    int64_t days;
    switch (type) {
    case TABLE_BOOL:
        return parse_bool(text, n, (bool *)to + i);
    case TABLE_INT64:
        return parse_int(text, n, (int64_t *)to + i);
    case TABLE_TIMESTAMP:
        return parse_timestamp(text, n, (int64_t *)to + i);
    default:
        must(type == TABLE_DATE);
        if (!parse_date(text, n, &days)) {
            return false;
        }
        ((int32_t *)to)[i] = (int32_t)days;
        return true;
    }
}

static void parse_all(struct data_db *db, duckdb_info info, duckdb_chunk input,
                      duckdb_vector output, enum table_type type)
{
    const struct duckdb_api *api = &db->api;
    size_t n = api->data_chunk_get_size(input);
    duckdb_vector from = api->data_chunk_get_vector(input, 0);
    const duckdb_text *texts = api->vector_get_data(from);
    const uint64_t *valid = copy_valid(api, from, output, n);
    void *to = api->vector_get_data(output);
    for (size_t i = 0; i < n; i++) {
        if (!is_there(valid, i)) {
            continue;
        }
        size_t length = texts[i].inlined.n;
        const char *text = length <= 12 ? texts[i].inlined.at : texts[i].pointer.at;
        if (!parse_one(type, text, length, to, i)) {
            fail_value(api, info, input, table_type_name(type), text, length);
            return;
        }
    }
}

/* nexus_bool, nexus_int, nexus_date, nexus_timestamp(text, name): strict. */
static void run_bool(duckdb_info info, duckdb_chunk input, duckdb_vector output)
{
    parse_all(db_of(info, __builtin_return_address(0)), info, input, output, TABLE_BOOL);
}

static void run_int(duckdb_info info, duckdb_chunk input, duckdb_vector output)
{
    parse_all(db_of(info, __builtin_return_address(0)), info, input, output, TABLE_INT64);
}

static void run_date(duckdb_info info, duckdb_chunk input, duckdb_vector output)
{
    parse_all(db_of(info, __builtin_return_address(0)), info, input, output, TABLE_DATE);
}

static void run_timestamp(duckdb_info info, duckdb_chunk input, duckdb_vector output)
{
    parse_all(db_of(info, __builtin_return_address(0)), info, input, output, TABLE_TIMESTAMP);
}

/* nexus_kinds(text) -> BIGINT: what a text can be, as bits of enum parse_kind. */
static void run_kinds(duckdb_info info, duckdb_chunk input, duckdb_vector output)
{
    struct data_db *db = db_of(info, __builtin_return_address(0));
    const struct duckdb_api *api = &db->api;
    size_t n = api->data_chunk_get_size(input);
    duckdb_vector from = api->data_chunk_get_vector(input, 0);
    const duckdb_text *texts = api->vector_get_data(from);
    const uint64_t *valid = copy_valid(api, from, output, n);
    int64_t *to = api->vector_get_data(output);
    for (size_t i = 0; i < n; i++) {
        if (is_there(valid, i)) {
            size_t length = texts[i].inlined.n;
            to[i] = parse_kinds(length <= 12 ? texts[i].inlined.at : texts[i].pointer.at, length);
        }
    }
}

/* A local time without its zone as an instant: the first of two where the clock is set back, the
 * first instant after where it is set forward over it. `l` and the result are TIMESTAMPs; a day
 * before and after tell the offsets on either side of a change. */
static const char macros[] =
    "CREATE MACRO nexus_offset(i, z) AS timezone(z, timezone('UTC', i)) - i;"
    "CREATE MACRO nexus_local(i, z) AS timezone(z, timezone('UTC', i));"
    "CREATE MACRO nexus_utc(l, z) AS CASE "
    "WHEN nexus_local(l - nexus_offset(l - INTERVAL 1 DAY, z), z) = l "
    "THEN l - nexus_offset(l - INTERVAL 1 DAY, z) "
    "WHEN nexus_local(l - nexus_offset(l + INTERVAL 1 DAY, z), z) = l "
    "THEN l - nexus_offset(l + INTERVAL 1 DAY, z) "
    "WHEN l IS NULL THEN NULL "
    "ELSE list_filter(generate_series(date_trunc('minute', l - nexus_offset(l + INTERVAL 1 DAY, "
    "z)), "
    "l - nexus_offset(l - INTERVAL 1 DAY, z), INTERVAL 1 MINUTE), lambda i: nexus_offset(i, z) = "
    "nexus_offset(l + INTERVAL 1 DAY, z))[1] END;";

struct function {
    const char *name;
    duckdb_scalar_run run;
    int gives;
    int takes[2]; /* 0: any number of any type */
    bool counts;  /* to be called for each row, whatever it gives */
};

static bool add_function(struct data_db *db, const struct function *wanted)
{
    const struct duckdb_api *api = &db->api;
    duckdb_function function = api->create_scalar_function();
    duckdb_logical any = api->create_logical_type(DUCKDB_T_ANY);
    duckdb_logical result = api->create_logical_type(wanted->gives);
    api->scalar_function_set_name(function, wanted->name);
    for (int i = 0; i < 2 && wanted->takes[i]; i++) {
        duckdb_logical type = api->create_logical_type(wanted->takes[i]);
        api->scalar_function_add_parameter(function, type);
        api->destroy_logical_type(&type);
    }
    if (!wanted->takes[0]) {
        api->scalar_function_set_varargs(function, any);
    }
    api->scalar_function_set_return_type(function, result);
    api->scalar_function_set_special_handling(function); /* it sees missing values */
    if (wanted->counts) {
        api->scalar_function_set_volatile(function);
    }
    api->scalar_function_set_extra_info(function, db, NULL);
    api->scalar_function_set_function(function, wanted->run);
    bool ok = api->register_scalar_function(db->connection, function) == DUCKDB_SUCCESS;
    api->destroy_logical_type(&result);
    api->destroy_logical_type(&any);
    api->destroy_scalar_function(&function);
    return ok;
}

/* clang-format off */
static const struct function functions[] = {
    {"nexus_rowhash",   run_rowhash,   DUCKDB_T_BOOLEAN,   {0, 0},                               true},
    {"nexus_bucket",    run_bucket,    DUCKDB_T_BIGINT,    {0, 0},                               false},
    {"nexus_whole",     run_whole,     DUCKDB_T_BIGINT,    {DUCKDB_T_DOUBLE, DUCKDB_T_VARCHAR},  false},
    {"nexus_bool",      run_bool,      DUCKDB_T_BOOLEAN,   {DUCKDB_T_VARCHAR, DUCKDB_T_VARCHAR}, false},
    {"nexus_int",       run_int,       DUCKDB_T_BIGINT,    {DUCKDB_T_VARCHAR, DUCKDB_T_VARCHAR}, false},
    {"nexus_date",      run_date,      DUCKDB_T_DATE,      {DUCKDB_T_VARCHAR, DUCKDB_T_VARCHAR}, false},
    {"nexus_timestamp", run_timestamp, DUCKDB_T_TIMESTAMP, {DUCKDB_T_VARCHAR, DUCKDB_T_VARCHAR}, false},
    {"nexus_kinds",     run_kinds,     DUCKDB_T_BIGINT,    {DUCKDB_T_VARCHAR, 0},                false},
};
/* clang-format on */

bool functions_register(struct data_db *db, struct nx_err *err)
{
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        if (!add_function(db, &functions[i])) {
            return nx_fail(err, NX_E_INTERNAL, "DuckDB does not take the function %s",
                           functions[i].name);
        }
    }
    return data_exec(db, macros, err);
}
