/* Functions that our SQL calls: the hash of rows, made by DuckDB's threads as the rows pass, and
 * the buckets of splits. */
#include <dlfcn.h>
#include <link.h>
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/data/internal.h"

typedef void *(*extra_info_get)(duckdb_info info);

/* The database a call belongs to. It is the function's extra info, and what reads that is found
 * through the library that called us (`caller`), since our table of its functions hangs on the
 * database and there is no global. Some microseconds for each 2,048 rows (dladdr would take a
 * thousand times as long: it reads all of the library's symbols). */
struct data_db *functions_db(duckdb_info info, void *caller)
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
    struct data_db *db = functions_db(info, __builtin_return_address(0));
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
    struct data_db *db = functions_db(info, __builtin_return_address(0));
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
    int child;   /* of a LIST */
    int takes;   /* how many texts; 0: any number of any type */
    bool counts; /* to be called for each row, whatever it gives */
};

static bool add_function(struct data_db *db, const struct function *wanted)
{
    const struct duckdb_api *api = &db->api;
    duckdb_function function = api->create_scalar_function();
    duckdb_logical any = api->create_logical_type(DUCKDB_T_ANY);
    duckdb_logical text = api->create_logical_type(DUCKDB_T_VARCHAR);
    duckdb_logical child = api->create_logical_type(wanted->child ? wanted->child : wanted->gives);
    duckdb_logical result = wanted->child ? api->create_list_type(child) : child;
    api->scalar_function_set_name(function, wanted->name);
    for (int i = 0; i < wanted->takes; i++) {
        api->scalar_function_add_parameter(function, text);
    }
    if (wanted->takes == 0) {
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
    if (wanted->child) {
        api->destroy_logical_type(&child);
    }
    api->destroy_logical_type(&result);
    api->destroy_logical_type(&text);
    api->destroy_logical_type(&any);
    api->destroy_scalar_function(&function);
    return ok;
}

/* clang-format off */
static const struct function functions[] = {
    {"nexus_rowhash",   run_rowhash,    DUCKDB_T_BOOLEAN,   0,                0, true},
    {"nexus_bucket",    run_bucket,     DUCKDB_T_BIGINT,    0,                0, false},
    {"nexus_kinds",     text_kinds,     DUCKDB_T_BIGINT,    0,                1, false},
    {"nexus_bool",      text_bool,      DUCKDB_T_BOOLEAN,   0,                2, false},
    {"nexus_yes",       text_yes,       DUCKDB_T_BOOLEAN,   0,                2, false},
    {"nexus_int",       text_int,       DUCKDB_T_BIGINT,    0,                2, false},
    {"nexus_whole",     text_whole,     DUCKDB_T_BIGINT,    0,                2, false},
    {"nexus_double",    text_double,    DUCKDB_T_DOUBLE,    0,                2, false},
    {"nexus_date",      text_date,      DUCKDB_T_DATE,      0,                2, false},
    {"nexus_day",       text_day,       DUCKDB_T_DATE,      0,                2, false},
    {"nexus_timestamp", text_timestamp, DUCKDB_T_TIMESTAMP, 0,                2, false},
    {"nexus_doubles",   text_doubles,   DUCKDB_T_LIST,      DUCKDB_T_DOUBLE,  2, false},
    {"nexus_misfit",    text_misfit,    DUCKDB_T_TIMESTAMP, 0,                3, false},
    {"nexus_fields",    text_fields,    DUCKDB_T_LIST,      DUCKDB_T_VARCHAR, 1, false},
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
