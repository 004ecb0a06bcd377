/* XGBoost called directly: the peer of ml.train with gradient_boosting. Reads the columns f0..f27
 * and the target `y` (0 or 1) of a Parquet file, trains, and keeps the model as bytes, as anybody
 * would with the library's C API.
 *
 *   peer_xgboost TABLE.parquet ROUNDS THREADS        prints {"read_s", "train_s", "total_s"} */
#include <stdint.h>
#include <string.h>

#include "lib/data/column.h"
#include "lib/data/data.h"
#include "lib/ml/xgboost.h"
#include "tests/bench/bench.h"

#define FEATURES 28

static _Noreturn void stop(const char *what, const char *why)
{
    fprintf(stderr, "peer_xgboost: %s: %s\n", what, why);
    exit(1);
}

static void check(const struct xgb *xgb, int status)
{
    if (status != 0)
        stop("XGBoost", xgb->XGBGetLastError());
}

static DMatrixHandle read_rows(const struct xgb *xgb, const char *path, const char *threads)
{
    static char names[FEATURES][8];
    struct column_want want[FEATURES + 1] = {0};
    struct data_settings settings = {.threads = atoi(threads)};
    struct column_matrix m, y;
    struct data_db *db;
    struct nx_err err;
    DMatrixHandle matrix;
    char array[256];
    for (int j = 0; j < FEATURES; j++) {
        snprintf(names[j], sizeof names[j], "f%d", j);
        want[j].name = names[j];
    }
    want[FEATURES].name = "y";
    if (!data_open(&settings, &db, &err) || !data_add_table(db, "rows", path, NULL, &err) ||
        !column_read_matrix(db, "rows", want, FEATURES, true, &m, &err) ||
        !column_read_matrix(db, "rows", &want[FEATURES], 1, true, &y, &err))
        stop(path, err.text);
    data_close(db);
    snprintf(
        array, sizeof array,
        "{\"data\": [%llu, true], \"shape\": [%zu, %zu], \"typestr\": \"<f4\", \"version\": 3}",
        (unsigned long long)(uintptr_t)m.at, m.n_rows, m.n_columns);
    check(xgb, xgb->XGDMatrixCreateFromDense(array, "{\"missing\": NaN}", &matrix));
    check(xgb, xgb->XGDMatrixSetDenseInfo(matrix, "label", y.at, y.n_rows, 1));
    column_matrix_fini(&m);
    column_matrix_fini(&y);
    return matrix;
}

static void train(const struct xgb *xgb, DMatrixHandle matrix, int rounds, const char *threads)
{
    static const char *const params[][2] = {
        {"tree_method", "hist"}, {"objective", "binary:logistic"},
        {"max_depth", "6"},      {"eta", "0.1"},
        {"max_bin", "256"},
    };
    BoosterHandle booster;
    bst_ulong n;
    const char *bytes;
    check(xgb, xgb->XGBoosterCreate(&matrix, 1, &booster));
    for (size_t i = 0; i < sizeof params / sizeof *params; i++)
        check(xgb, xgb->XGBoosterSetParam(booster, params[i][0], params[i][1]));
    check(xgb, xgb->XGBoosterSetParam(booster, "nthread", threads));
    for (int r = 0; r < rounds; r++)
        check(xgb, xgb->XGBoosterUpdateOneIter(booster, r, matrix));
    check(xgb, xgb->XGBoosterSaveModelToBuffer(booster, "{\"format\": \"json\"}", &n, &bytes));
    check(xgb, xgb->XGBoosterFree(booster));
}

int main(int argc, char **argv)
{
    struct xgb xgb;
    struct nx_err err;
    if (argc != 4)
        stop("usage", "peer_xgboost TABLE.parquet ROUNDS THREADS");
    if (!xgb_load(&xgb, &err))
        stop("start", err.text);
    int64_t start = clock_mono_us();
    DMatrixHandle matrix = read_rows(&xgb, argv[1], argv[3]);
    int64_t read = clock_mono_us();
    train(&xgb, matrix, atoi(argv[2]), argv[3]);
    int64_t end = clock_mono_us();
    printf("{\"read_s\": %.3f, \"train_s\": %.3f, \"total_s\": %.3f}\n",
           (double)(read - start) / 1e6, (double)(end - read) / 1e6, (double)(end - start) / 1e6);
    xgb.XGDMatrixFree(matrix);
    return 0;
}
