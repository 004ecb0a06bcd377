/* lib/ml and lib/model together: trainers against the library called directly, the native predictor
 * against XGBoost, folders against tampering. What is compared with scikit-learn: tests/ml. */
#include "tests/unit/test.h"

#include <math.h>
#include <unistd.h>

#include "lib/base/path.h"
#include "lib/ml/fit.h"
#include "lib/ml/measure.h"
#include "lib/ml/ml.h"
#include "lib/ml/xgboost.h"
#include "lib/model/manifest.h"
#include "lib/stat/stat.h"
#include "tests/unit/rows.h"

#define N 3000

/* ---- A problem with numbers, integers, a flag, two texts, missing values ---- */

struct fixture {
    struct rows rows;
    struct column target;
    struct model *model;
    struct model_binding binding;
    struct ml_problem problem;
    struct ml_params params;
    struct ml_boosted boosted;
    float *as_float;
    double *as_double, *y;
    char warnings[2000];
};

static const char *const colours[] = {"blue", "green", "red"};
static char cities[60][8];

static void fill_rows(struct rows *rows, uint64_t seed, size_t n)
{
    struct rng rng;
    const char *names[60];
    rng_init(&rng, seed);
    rows_init(rows, n);
    struct column *a = rows_add(rows, "a", TABLE_DOUBLE), *b = rows_add(rows, "b", TABLE_DOUBLE);
    struct column *k = rows_add(rows, "k", TABLE_INT64), *f = rows_add(rows, "f", TABLE_BOOL);
    struct column *c = rows_add(rows, "colour", TABLE_STRING);
    struct column *t = rows_add(rows, "city", TABLE_STRING);
    for (size_t i = 0; i < 60; i++) {
        snprintf(cities[i], sizeof cities[i], "c%02zu", i);
        names[i] = cities[i];
    }
    rows_texts(c, colours, 3);
    rows_texts(t, names, 60);
    for (size_t i = 0; i < n; i++) {
        a->as.f[i] = rows_normal(&rng);
        b->as.f[i] = floor(rows_normal(&rng) * 4) / 4;
        k->as.i[i] = (int64_t)rng_below(&rng, 50);
        f->as.b[i] = rng_below(&rng, 2) != 0;
        c->as.code[i] = (int32_t)rng_below(&rng, 3);
        t->as.code[i] = (int32_t)rng_below(&rng, 60);
        for (size_t j = 0; j < rows->n_columns; j++) {
            if (rng_below(&rng, 20) == 0)
                rows_miss(&rows->column[j], i);
        }
    }
}

static double signal(const struct rows *rows, size_t i)
{
    double z = 0;
    for (size_t j = 0; j < 2; j++)
        z += isnan(rows->column[j].as.f[i]) ? 0.7 : (j == 0 ? 1 : 2) * rows->column[j].as.f[i];
    z += rows->column[3].as.b[i] ? 0.5 : -0.5;
    z += rows->column[4].as.code[i] == 2 ? 1 : 0;
    return z + (rows->column[5].as.code[i] % 7 == 3 ? 1.5 : -0.3);
}

static void warn(void *arg, const char *text)
{
    struct fixture *f = arg;
    size_t n = strlen(f->warnings);
    snprintf(f->warnings + n, sizeof f->warnings - n, "%s\n", text);
}

static void fixture_start(struct fixture *f, enum model_task task, const char *algorithm,
                          const char *params)
{
    struct nx_err err;
    struct rng rng;
    struct ml_report report = {.arg = f, .warn = warn};
    memset(f, 0, sizeof *f);
    fill_rows(&f->rows, 11, N);
    rng_init(&rng, 5);
    f->target = (struct column){.name = "y", .type = TABLE_INT64, .n_rows = N};
    f->target.as.i = mem_alloc_array(N, sizeof(int64_t));
    f->target.type = task == MODEL_REGRESSION ? TABLE_DOUBLE : TABLE_INT64;
    for (size_t i = 0; i < N; i++) {
        double z = signal(&f->rows, i) + rows_normal(&rng);
        if (task == MODEL_REGRESSION)
            f->target.as.f[i] = 1000 + 50 * z;
        else
            f->target.as.i[i] = task == MODEL_BINARY ? z > 0 : (z > -1) + (z > 1);
    }
    const struct ml_algorithm *a = ml_algorithm_find(algorithm, &err);
    assert_non_null(a);
    assert_true(ml_params_read(a, params, &f->params, &err));
    f->model = model_new();
    enum ml_task_wish wish = task == MODEL_MULTICLASS ? ML_TASK_MULTICLASS : ML_TASK_AUTO;
    if (!ml_fit_target(f->model, &f->target, wish, NULL, a, &err))
        fail_msg("%s", err.text);
    struct ml_fit fit = {.family = a->kind == ML_BOOST ? MODEL_TREES : MODEL_LINEAR,
                         .standardize = a->kind == ML_LOGISTIC,
                         .max_categories = 100};
    if (!ml_fit_inputs(f->model, f->rows.column, f->rows.n_columns, &fit, &report, &err))
        fail_msg("%s", err.text);
    assert_true(model_check(f->model, f->rows.column, f->rows.n_columns, &f->binding, &err));
    size_t cells = N * f->model->n_features;
    f->as_float = mem_alloc_array(cells, sizeof(float));
    f->as_double = mem_alloc_array(cells, sizeof(double));
    f->y = mem_alloc_array(N, sizeof(double));
    assert_true(model_transform_float(f->model, &f->binding, 0, N, f->as_float, &err));
    assert_true(model_transform(f->model, &f->binding, 0, N, f->as_double, &err));
    assert_true(ml_target_values(f->model, &f->target, f->y, &err));
    f->problem = (struct ml_problem){
        .task = f->model->task,
        .n_classes = f->model->n_classes,
        .features = f->model->features,
        .rows = {N, f->model->n_features, f->as_float, f->as_double, f->y, NULL},
        .threads = 2,
        .seed = 7};
}

static void fixture_train(struct fixture *f)
{
    struct nx_err err;
    struct ml_report report = {.arg = f, .warn = warn};
    static struct ml_library library;
    struct model *m = f->model;
    bool ok;
    if (f->params.algorithm->kind == ML_BOOST) {
        ok = ml_boost(&f->problem, &f->params, &report, &m->arena, &f->boosted, &err);
        m->trees = f->boosted.trees;
        library.name = "xgboost";
        snprintf(library.version, sizeof library.version, "%s", f->boosted.library_version);
    } else {
        ok = (f->params.algorithm->kind == ML_LOGISTIC ? ml_logistic : ml_least_squares)(
            &f->problem, &f->params, &report, &m->arena, &m->linear, &library, &err);
    }
    if (!ok)
        fail_msg("%s", err.text);
    m->library = library.name;
    m->library_version = library.version;
    m->algorithm = f->params.algorithm->name;
    m->params = "{}";
    size_t golden[MODEL_GOLDEN_ROWS];
    for (size_t i = 0; i < MODEL_GOLDEN_ROWS; i++)
        golden[i] = i * (N / MODEL_GOLDEN_ROWS);
    model_pick_golden(m, &f->binding, golden, MODEL_GOLDEN_ROWS);
    assert_true(model_seal_golden(m, &err));
}

static void fixture_end(struct fixture *f)
{
    model_binding_fini(f->model, &f->binding);
    model_free(f->model);
    buf_fini(&f->boosted.ubj);
    mem_free(f->as_float);
    mem_free(f->as_double);
    mem_free(f->y);
    mem_free(f->target.as.i);
    rows_fini(&f->rows);
}

/* ---- XGBoost, called directly ---- */

static void xgb_must(const struct xgb *x, int status)
{
    if (status != 0)
        fail_msg("%s", x->XGBGetLastError());
}

/* Trains with the library's own calls and gives its predictions on the training rows. */
static void train_directly(const struct fixture *f, const char *const (*params)[2], int rounds,
                           float *out, size_t width)
{
    struct xgb x;
    struct nx_err err;
    DMatrixHandle d;
    BoosterHandle b;
    char array[200];
    const struct ml_rows *rows = &f->problem.rows;
    assert_true(xgb_load(&x, &err));
    snprintf(
        array, sizeof array,
        "{\"data\": [%llu, true], \"shape\": [%zu, %zu], \"typestr\": \"<f4\", \"version\": 3}",
        (unsigned long long)(uintptr_t)rows->as_float, rows->n_rows, rows->n_features);
    xgb_must(&x, x.XGDMatrixCreateFromDense(array, "{\"missing\": NaN}", &d));
    float *y = mem_alloc_array(N, sizeof *y);
    const char *types[64];
    for (size_t i = 0; i < N; i++)
        y[i] = (float)rows->target[i];
    for (size_t j = 0; j < rows->n_features; j++)
        types[j] = f->model->features[j].n_categories ? "c" : "float";
    xgb_must(&x, x.XGDMatrixSetDenseInfo(d, "label", y, N, 1));
    xgb_must(&x, x.XGDMatrixSetStrFeatureInfo(d, "feature_type", types, rows->n_features));
    xgb_must(&x, x.XGBoosterCreate(&d, 1, &b));
    for (size_t i = 0; params[i][0]; i++)
        xgb_must(&x, x.XGBoosterSetParam(b, params[i][0], params[i][1]));
    for (int r = 0; r < rounds; r++)
        xgb_must(&x, x.XGBoosterUpdateOneIter(b, r, d));
    const bst_ulong *shape;
    bst_ulong n;
    const float *p;
    xgb_must(&x, x.XGBoosterPredictFromDMatrix(
                     b, d,
                     "{\"type\": 0, \"training\": false, \"iteration_begin\": 0, "
                     "\"iteration_end\": 0, \"strict_shape\": true}",
                     &shape, &n, &p));
    memcpy(out, p, N * width * sizeof *out);
    x.XGBoosterFree(b);
    x.XGDMatrixFree(d);
    mem_free(y);
}

static void compare_directly(enum model_task task, const char *const (*params)[2])
{
    struct fixture f;
    struct nx_err err;
    struct model_output p;
    fixture_start(&f, task, "gradient_boosting",
                  "{\"rounds\": 30, \"max_depth\": 5, \"learning_rate\": 0.2}");
    fixture_train(&f);
    size_t width = task == MODEL_MULTICLASS ? 3 : 1;
    float *direct = mem_alloc_array(N * width, sizeof *direct);
    train_directly(&f, params, 30, direct, width);
    assert_true(model_predict(f.model, f.rows.column, f.rows.n_columns, N, &p, &err));
    for (size_t i = 0; i < N; i++) {
        for (size_t k = 0; k < width; k++) {
            double ours = p.values[i * p.n_values + (task == MODEL_BINARY ? 1 : k)];
            assert_true(ours == (double)direct[i * width + k]);
        }
    }
    model_output_fini(&p);
    mem_free(direct);
    fixture_end(&f);
}

static void binary_trees_are_bit_equal_to_xgboost_called_directly(void **state)
{
    (void)state;
    const char *const params[][2] = {{"objective", "binary:logistic"},
                                     {"tree_method", "hist"},
                                     {"max_depth", "5"},
                                     {"eta", "0.2"},
                                     {NULL, NULL}};
    compare_directly(MODEL_BINARY, params);
}

static void trees_of_several_classes_are_bit_equal_too(void **state)
{
    (void)state;
    const char *const params[][2] = {{"objective", "multi:softprob"},
                                     {"num_class", "3"},
                                     {"tree_method", "hist"},
                                     {"max_depth", "5"},
                                     {"eta", "0.2"},
                                     {NULL, NULL}};
    compare_directly(MODEL_MULTICLASS, params);
}

static void regression_starts_from_the_mean_and_is_bit_equal(void **state)
{
    (void)state;
    struct fixture f;
    char mean[40];
    fixture_start(&f, MODEL_REGRESSION, "gradient_boosting", NULL);
    snprintf(mean, sizeof mean, "%.17g", (double)(float)stat_mean(f.y, N));
    fixture_end(&f);
    const char *const params[][2] = {{"objective", "reg:squarederror"},
                                     {"base_score", mean},
                                     {"tree_method", "hist"},
                                     {"max_depth", "5"},
                                     {"eta", "0.2"},
                                     {NULL, NULL}};
    compare_directly(MODEL_REGRESSION, params);
}

static void trees_do_not_depend_on_the_number_of_threads(void **state)
{
    (void)state;
    struct buf first;
    buf_init(&first);
    for (int threads = 1; threads <= 4; threads++) {
        struct fixture f;
        struct buf payload;
        buf_init(&payload);
        fixture_start(&f, MODEL_BINARY, "gradient_boosting",
                      "{\"rounds\": 40, \"subsample\": 0.7, \"colsample\": 0.8}");
        f.problem.threads = threads;
        fixture_train(&f);
        trees_write(&f.model->trees, &payload);
        if (threads == 1)
            buf_add(&first, payload.data, payload.len);
        assert_int_equal(payload.len, first.len);
        assert_memory_equal(payload.data, first.data, first.len);
        buf_fini(&payload);
        fixture_end(&f);
    }
    buf_fini(&first);
}

/* ---- Early stopping ---- */

static void early_stopping_keeps_the_best_rounds(void **state)
{
    (void)state;
    struct fixture f;
    struct nx_err err;
    fixture_start(&f, MODEL_BINARY, "gradient_boosting",
                  "{\"rounds\": 400, \"early_stopping_rounds\": 5, \"learning_rate\": 0.5}");
    struct ml_report report = {.arg = &f, .warn = warn};
    assert_false(ml_boost(&f.problem, &f.params, &report, &f.model->arena, &f.boosted, &err));
    assert_non_null(strstr(err.text, "validation"));
    f.problem.validation = f.problem.rows;
    f.problem.rows.n_rows = N / 2;
    f.problem.validation.n_rows = N - N / 2;
    f.problem.validation.as_float += N / 2 * f.problem.rows.n_features;
    f.problem.validation.target += N / 2;
    fixture_train(&f);
    assert_true(f.boosted.best_round >= 0 && f.boosted.rounds == f.boosted.best_round + 1);
    assert_true(f.boosted.rounds < 100);
    assert_int_equal(f.model->trees.n_trees, f.boosted.rounds);
    fixture_end(&f);
}

/* ---- Linear models in memory ---- */

static void least_squares_finds_the_plane_that_made_the_rows(void **state)
{
    (void)state;
    struct nx_err err;
    struct ml_params params;
    struct arena arena;
    struct linear linear;
    struct ml_report report = {0};
    double x[40][2], y[40], w[40];
    struct ml_library library;
    arena_init(&arena);
    for (size_t i = 0; i < 40; i++) {
        x[i][0] = (double)i;
        x[i][1] = (double)(i * i % 17);
        y[i] = 3 + 2 * x[i][0] - 5 * x[i][1];
        w[i] = 1 + (double)(i % 3);
    }
    assert_true(ml_params_read(ml_algorithm_find("linear_regression", &err), NULL, &params, &err));
    for (int weighted = 0; weighted < 2; weighted++) {
        struct ml_problem problem = {.task = MODEL_REGRESSION,
                                     .rows = {40, 2, NULL, &x[0][0], y, weighted ? w : NULL}};
        assert_true(ml_least_squares(&problem, &params, &report, &arena, &linear, &library, &err));
        assert_true(fabs(linear.intercepts[0] - 3) < 1e-9);
        assert_true(fabs(linear.coefficients[0] - 2) < 1e-10);
        assert_true(fabs(linear.coefficients[1] + 5) < 1e-10);
    }
    arena_fini(&arena);
}

static void dependent_columns_are_warned_of_and_shared_evenly(void **state)
{
    (void)state;
    struct nx_err err;
    struct ml_params params;
    struct arena arena;
    struct linear linear;
    struct fixture f = {0};
    struct ml_report report = {.arg = &f, .warn = warn};
    double x[30][2], y[30];
    struct ml_library library;
    arena_init(&arena);
    for (size_t i = 0; i < 30; i++) {
        x[i][0] = x[i][1] = (double)(i * i % 11);
        y[i] = 7 + 4 * x[i][0];
    }
    assert_true(ml_params_read(ml_algorithm_find("linear_regression", &err), NULL, &params, &err));
    struct ml_problem problem = {.task = MODEL_REGRESSION,
                                 .rows = {30, 2, NULL, &x[0][0], y, NULL}};
    assert_true(ml_least_squares(&problem, &params, &report, &arena, &linear, &library, &err));
    assert_non_null(strstr(f.warnings, "1 of the 2 features are combinations of others"));
    assert_true(fabs(linear.coefficients[0] - 2) < 1e-10);
    assert_true(fabs(linear.coefficients[1] - 2) < 1e-10);
    arena_fini(&arena);
}

static void separable_rows_stop_with_a_warning(void **state)
{
    (void)state;
    struct nx_err err;
    struct ml_params params;
    struct arena arena;
    struct linear linear;
    struct fixture f = {0};
    struct ml_report report = {.arg = &f, .warn = warn};
    double x[20], y[20];
    struct ml_library library;
    arena_init(&arena);
    for (size_t i = 0; i < 20; i++) {
        x[i] = (double)i - 9.5;
        y[i] = i >= 10;
    }
    assert_true(ml_params_read(ml_algorithm_find("logistic_regression", &err), "{\"l2\": 0}",
                               &params, &err));
    struct ml_problem problem = {
        .task = MODEL_BINARY, .n_classes = 2, .rows = {20, 1, NULL, x, y, NULL}};
    assert_true(ml_logistic(&problem, &params, &report, &arena, &linear, &library, &err));
    assert_non_null(strstr(f.warnings, "separates the classes"));
    assert_true(linear.coefficients[0] > 0 && isfinite(linear.coefficients[0]));
    arena_fini(&arena);
}

/* A column far from 0, one of tiny and one of large numbers, a rare flag. */
static void fill_badly_scaled(double *x, double *y, size_t n, size_t n_classes)
{
    struct rng rng;
    rng_init(&rng, 3);
    for (size_t i = 0; i < n; i++) {
        double a = rows_normal(&rng), b = rows_normal(&rng), c = rows_normal(&rng);
        double flag = rng_below(&rng, 50) == 0;
        x[i * 4] = 1.7e9 + 1000 * a;
        x[i * 4 + 1] = 1e-5 * b;
        x[i * 4 + 2] = 1e6 * c * c;
        x[i * 4 + 3] = flag;
        double z = a + 2 * b - c * c + 3 * flag + rows_normal(&rng);
        y[i] = n_classes == 2 ? z > 0 : (z > -1) + (z > 1);
    }
}

/* The largest part of the gradient of the sum of losses, by coefficients of centred columns of
 * deviation 1: computed here a second time. */
static double gradient_of(const struct linear *m, const double *x, const double *y, size_t n,
                          double l2)
{
    double largest = 0, *p = mem_alloc_array(n * m->n_outputs, sizeof *p);
    linear_predict(m, x, n, p);
    for (size_t k = 0; k < m->n_outputs; k++) {
        for (size_t j = 0; j < m->n_features; j++) {
            double sum = 0, squares = 0, g = 0;
            for (size_t i = 0; i < n; i++)
                sum += x[i * m->n_features + j];
            for (size_t i = 0; i < n; i++) {
                double d = x[i * m->n_features + j] - sum / (double)n;
                double is = m->n_outputs == 1 ? y[i] : y[i] == (double)k;
                squares += d * d;
                g += d * (p[i * m->n_outputs + k] - is);
            }
            g += l2 * m->coefficients[k * m->n_features + j];
            g /= sqrt(squares / (double)n);
            largest = fabs(g) > largest ? fabs(g) : largest;
        }
    }
    mem_free(p);
    return largest;
}

static void logistic_regression_reaches_the_optimum_of_badly_scaled_columns(void **state)
{
    (void)state;
    struct nx_err err;
    struct ml_params params;
    struct arena arena;
    struct linear linear;
    struct ml_library library;
    struct fixture f = {0};
    struct ml_report report = {.arg = &f, .warn = warn};
    static double x[2000 * 4], y[2000];
    arena_init(&arena);
    for (size_t classes = 2; classes <= 3; classes++) {
        fill_badly_scaled(x, y, 2000, classes);
        assert_true(ml_params_read(ml_algorithm_find("logistic_regression", &err), "{\"l2\": 0.01}",
                                   &params, &err));
        struct ml_problem problem = {.task = classes == 2 ? MODEL_BINARY : MODEL_MULTICLASS,
                                     .n_classes = classes,
                                     .rows = {2000, 4, NULL, x, y, NULL}};
        assert_true(ml_logistic(&problem, &params, &report, &arena, &linear, &library, &err));
        double g = gradient_of(&linear, x, y, 2000, 0.01);
        print_message("    %zu classes: gradient %.3g\n", classes, g);
        assert_true(g < 1e-5);
        assert_string_equal(f.warnings, "");
    }
    arena_fini(&arena);
}

static void logistic_regression_that_is_stopped_early_warns(void **state)
{
    (void)state;
    struct nx_err err;
    struct ml_params params;
    struct arena arena;
    struct linear linear;
    struct ml_library library;
    static double x[2000 * 4], y[2000];
    static const char *const given[] = {"{\"max_iter\": 2}", "{\"max_iter\": 2, \"l1\": 0.1}"};
    arena_init(&arena);
    fill_badly_scaled(x, y, 2000, 2);
    struct ml_problem problem = {
        .task = MODEL_BINARY, .n_classes = 2, .rows = {2000, 4, NULL, x, y, NULL}};
    for (size_t i = 0; i < 2; i++) {
        struct fixture f = {0};
        struct ml_report report = {.arg = &f, .warn = warn};
        assert_true(ml_params_read(ml_algorithm_find("logistic_regression", &err), given[i],
                                   &params, &err));
        assert_true(ml_logistic(&problem, &params, &report, &arena, &linear, &library, &err));
        assert_non_null(strstr(f.warnings, "not converged after max_iter = 2 iterations"));
    }
    arena_fini(&arena);
}

/* ---- Folders ---- */

static void make_folder(char *folder)
{
    memcpy(folder, "/tmp/nexus-model-XXXXXX", 24);
    assert_non_null(mkdtemp(folder));
}

static void in_folder(char *path, const char *folder, const char *name)
{
    snprintf(path, PATH_MAX_BYTES, "%s/%s", folder, name);
}

static void round_trip(enum model_task task, const char *algorithm, const char *params)
{
    struct fixture f;
    struct nx_err err;
    char folder[64];
    struct model *back;
    struct model_output a, b;
    struct rows others;
    fixture_start(&f, task, algorithm, params);
    fixture_train(&f);
    make_folder(folder);
    if (!model_write(f.model, folder, &err) || !model_open(folder, &back, &err))
        fail_msg("%s", err.text);
    fill_rows(&others, 99, 500);
    assert_true(model_predict(f.model, others.column, others.n_columns, 500, &a, &err));
    assert_true(model_predict(back, others.column, others.n_columns, 500, &b, &err));
    assert_memory_equal(a.values, b.values, 500 * a.n_values * sizeof(double));
    assert_int_equal(back->n_features, f.model->n_features);
    assert_string_equal(back->algorithm, algorithm);
    if (task != MODEL_REGRESSION)
        assert_memory_equal(a.labels, b.labels, 500 * sizeof *a.labels);
    model_output_fini(&a);
    model_output_fini(&b);
    /* From features that are there already it is the same. */
    assert_true(model_predict(f.model, f.rows.column, f.rows.n_columns, N, &a, &err));
    bool trees = f.model->family == MODEL_TREES;
    model_predict_features(back, trees ? NULL : f.as_double, trees ? f.as_float : NULL, N, &b);
    assert_memory_equal(a.values, b.values, N * a.n_values * sizeof(double));
    model_output_fini(&a);
    model_output_fini(&b);
    /* One row at a time too. */
    struct column one[ROWS_COLUMNS];
    struct model_binding binding;
    assert_true(model_check(back, others.column, others.n_columns, &binding, &err));
    memcpy(one, others.column, sizeof one);
    assert_true(model_predict(back, one, others.n_columns, 1, &b, &err));
    model_output_fini(&b);
    model_binding_fini(back, &binding);
    rows_fini(&others);
    model_free(back);
    assert_true(path_remove_tree(folder, &err));
    fixture_end(&f);
}

static void models_come_back_from_their_folder_bit_for_bit(void **state)
{
    (void)state;
    round_trip(MODEL_BINARY, "gradient_boosting", "{\"rounds\": 20}");
    round_trip(MODEL_MULTICLASS, "gradient_boosting", "{\"rounds\": 10}");
    round_trip(MODEL_REGRESSION, "gradient_boosting", "{\"rounds\": 20}");
    round_trip(MODEL_BINARY, "logistic_regression", NULL);
    round_trip(MODEL_BINARY, "logistic_regression", "{\"l1\": 5, \"l2\": 0}");
    round_trip(MODEL_MULTICLASS, "logistic_regression", NULL);
    round_trip(MODEL_REGRESSION, "linear_regression", NULL);
    round_trip(MODEL_REGRESSION, "linear_regression", "{\"l2\": 3}");
}

static void replace_in_file(const char *path, const char *from, const char *to)
{
    struct nx_err err;
    struct buf text, changed;
    buf_init(&text);
    buf_init(&changed);
    assert_true(path_read(path, 1 << 24, &text, &err));
    char *at = strstr(text.data, from);
    assert_non_null(at);
    buf_add(&changed, text.data, (size_t)(at - text.data));
    buf_str(&changed, to);
    buf_str(&changed, at + strlen(from));
    assert_true(path_write(path, changed.data, changed.len, &err));
    buf_fini(&changed);
    buf_fini(&text);
}

static void a_changed_payload_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct nx_err err;
    struct model *back = NULL;
    char folder[64], path[PATH_MAX_BYTES];
    struct buf bytes;
    fixture_start(&f, MODEL_BINARY, "gradient_boosting", "{\"rounds\": 5}");
    fixture_train(&f);
    make_folder(folder);
    assert_true(model_write(f.model, folder, &err));
    in_folder(path, folder, "trees.bin");
    buf_init(&bytes);
    assert_true(path_read(path, 1 << 24, &bytes, &err));
    bytes.data[bytes.len / 2] ^= 1;
    assert_true(path_write(path, bytes.data, bytes.len, &err));
    assert_false(model_open(folder, &back, &err));
    assert_int_equal(err.code, NX_E_DATA);
    assert_non_null(strstr(err.text, "model_payload_mismatch"));
    assert_null(back);
    buf_fini(&bytes);
    assert_true(path_remove_tree(folder, &err));
    fixture_end(&f);
}

static void a_golden_row_that_comes_out_different_is_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct nx_err err;
    struct model *back = NULL;
    char folder[64], path[PATH_MAX_BYTES], mean[64], other[64];
    fixture_start(&f, MODEL_BINARY, "logistic_regression", NULL);
    fixture_train(&f);
    make_folder(folder);
    assert_true(model_write(f.model, folder, &err));
    in_folder(path, folder, "nexus.json");
    size_t s = 0;
    while (f.model->steps[s].op != MODEL_STANDARDIZE)
        s++;
    snprintf(mean, sizeof mean, "\"mean\": %.17g", f.model->steps[s].mean);
    snprintf(other, sizeof other, "\"mean\": %.17g", f.model->steps[s].mean * 1.0000001);
    replace_in_file(path, mean, other);
    assert_false(model_open(folder, &back, &err));
    assert_non_null(strstr(err.text, "model_golden_mismatch"));
    replace_in_file(path, other, mean);
    assert_true(model_open(folder, &back, &err));
    model_free(back);
    replace_in_file(path, "\"format\": 1", "\"format\": 2");
    assert_false(model_open(folder, &back, &err));
    assert_int_equal(err.code, NX_E_UNSUPPORTED);
    assert_true(path_remove_tree(folder, &err));
    fixture_end(&f);
}

static void cut_and_twisted_payloads_of_trees_are_refused(void **state)
{
    (void)state;
    struct fixture f;
    struct nx_err err;
    struct arena arena;
    struct trees trees;
    struct buf whole;
    struct rng rng;
    fixture_start(&f, MODEL_BINARY, "gradient_boosting", "{\"rounds\": 3}");
    fixture_train(&f);
    buf_init(&whole);
    trees_write(&f.model->trees, &whole);
    arena_init(&arena);
    assert_true(trees_read(whole.data, whole.len, &arena, &trees, &err));
    for (size_t n = 0; n < whole.len; n += 7)
        assert_false(trees_read(whole.data, n, &arena, &trees, &err));
    rng_init(&rng, 3);
    float *values = mem_alloc_array(N * 4, sizeof *values);
    for (int round = 0; round < 2000; round++) {
        size_t at = rng_below(&rng, whole.len);
        char was = whole.data[at];
        whole.data[at] = (char)rng_below(&rng, 256);
        /* Refused, or harmless: the sanitizers watch. */
        if (trees_read(whole.data, whole.len, &arena, &trees, &err) && trees.n_groups == 1 &&
            trees.n_features == f.model->n_features)
            trees_predict(&trees, f.as_float, 50, values);
        whole.data[at] = was;
        arena_reset(&arena);
    }
    mem_free(values);
    arena_fini(&arena);
    buf_fini(&whole);
    fixture_end(&f);
}

/* ---- What callers may send ---- */

static void wrong_columns_are_named_all_at_once(void **state)
{
    (void)state;
    struct fixture f;
    struct nx_err err;
    struct model_binding binding;
    fixture_start(&f, MODEL_BINARY, "gradient_boosting", "{\"rounds\": 2}");
    f.rows.column[0].name = "other";
    f.rows.column[4].type = TABLE_INT64;
    assert_false(model_check(f.model, f.rows.column, f.rows.n_columns, &binding, &err));
    assert_non_null(strstr(err.text, "column 'a' (double) is not there"));
    assert_non_null(strstr(err.text, "column 'colour' is int64 where the model needs category"));
    f.rows.column[0].name = "a";
    f.rows.column[4].type = TABLE_STRING;
    fixture_end(&f);
}

static void unseen_categories_follow_the_model(void **state)
{
    (void)state;
    struct fixture f;
    struct nx_err err;
    struct model_output p, q;
    const char *const strange[] = {"blue", "mauve", "red"};
    fixture_start(&f, MODEL_BINARY, "gradient_boosting", "{\"rounds\": 10}");
    fixture_train(&f);
    struct column *c = &f.rows.column[4];
    memcpy(c->text, strange, sizeof strange);
    c->as.code[17] = 1;
    assert_true(model_predict(f.model, f.rows.column, f.rows.n_columns, N, &p, &err));
    for (size_t i = 0; i < N; i++) {
        if (c->as.code[i] == 1)
            c->as.code[i] = COLUMN_MISSING;
    }
    assert_true(model_predict(f.model, f.rows.column, f.rows.n_columns, N, &q, &err));
    assert_memory_equal(p.values, q.values, N * p.n_values * sizeof(double));
    model_output_fini(&p);
    model_output_fini(&q);
    memset(c->valid, 0xff, (N / 64 + 1) * sizeof *c->valid);
    c->as.code[17] = 1;
    for (size_t i = 0; i < 17; i++)
        c->as.code[i] = 0;
    f.model->inputs[4].unknown = MODEL_UNKNOWN_ERROR;
    assert_false(model_predict(f.model, f.rows.column, f.rows.n_columns, N, &q, &err));
    assert_non_null(strstr(err.text, "row 18: column 'colour' has the value 'mauve'"));
    f.model->inputs[4].unknown = MODEL_UNKNOWN_MOST_FREQUENT;
    assert_true(model_predict(f.model, f.rows.column, f.rows.n_columns, N, &p, &err));
    model_output_fini(&p);
    fixture_end(&f);
}

static void tables_of_no_and_of_one_row_are_predicted(void **state)
{
    (void)state;
    struct fixture f;
    struct nx_err err;
    struct model_output all, one, none;
    struct rows few;
    fixture_start(&f, MODEL_BINARY, "gradient_boosting", "{\"rounds\": 10}");
    fixture_train(&f);
    fill_rows(&few, 11, 1); /* the first row of the training set */
    assert_true(model_predict(f.model, f.rows.column, f.rows.n_columns, N, &all, &err));
    assert_true(model_predict(f.model, few.column, few.n_columns, 1, &one, &err));
    assert_true(one.values[1] == all.values[1] && one.n_rows == 1);
    assert_true(model_predict(f.model, few.column, few.n_columns, 0, &none, &err));
    assert_int_equal(none.n_rows, 0);
    model_output_fini(&all);
    model_output_fini(&one);
    model_output_fini(&none);
    rows_fini(&few);
    fixture_end(&f);
}

/* ---- Metrics and baselines ---- */

static double metric(const json_t *metrics, const char *name)
{
    const json_t *v = json_object_get(metrics, name);
    if (!json_is_real(v))
        fail_msg("%s is no number", name);
    return json_real_value(v);
}

static void metrics_are_those_of_the_predictions(void **state)
{
    (void)state;
    struct model model = {.task = MODEL_BINARY, .n_classes = 2, .positive = 0, .threshold = 0.5};
    const char *names[] = {"no", "yes"};
    double values[] = {0.9, 0.1, 0.6, 0.4, 0.3, 0.7, 0.2, 0.8};
    uint32_t labels[] = {0, 0, 1, 1};
    double target[] = {1, 0, 1, 0}, v = 0;
    uint8_t positive[] = {1, 0, 1, 0};
    double score[] = {0.9, 0.6, 0.3, 0.2};
    struct nx_err err;
    model.classes = names;
    struct model_output p = {4, 2, values, labels};
    json_t *m = ml_measure(&model, &p, target);
    assert_true(stat_roc_auc(positive, score, 4, &v) && metric(m, "roc_auc") == v);
    assert_true(stat_log_loss(positive, score, 4, &v) && metric(m, "log_loss") == v);
    assert_true(metric(m, "accuracy") == 0.5 && metric(m, "precision") == 0.5);
    json_decref(m);
    json_t *confusion = ml_confusion(&model, &p, target);
    const json_t *counts = json_object_get(confusion, "counts");
    assert_int_equal(json_integer_value(json_array_get(json_array_get(counts, 1), 0)), 1);
    json_decref(confusion);
    /* The baseline: shares of the classes; as predictions they separate nothing. */
    double late[] = {1, 1, 1, 0};
    struct ml_rows rows = {.n_rows = 4, .target = late};
    json_t *baseline = ml_baseline(&model, &rows);
    char *text = json_dumps(baseline, 0);
    model.baseline = text;
    assert_true(ml_baseline_predict(&model, "prior", 4, &p, &err));
    assert_true(p.values[0] == 0.75 && p.values[1] == 0.25 && p.labels[0] == 0);
    m = ml_measure(&model, &p, target);
    assert_true(metric(m, "roc_auc") == 0.5);
    json_decref(m);
    model_output_fini(&p);
    assert_true(ml_baseline_predict(&model, "majority", 2, &p, &err));
    assert_true(p.values[0] == 1 && p.values[1] == 0);
    model_output_fini(&p);
    assert_false(ml_baseline_predict(&model, "mean", 2, &p, &err));
    free(text);
    json_decref(baseline);
}

static void metrics_of_numbers_are_those_of_the_predictions(void **state)
{
    (void)state;
    struct model model = {.task = MODEL_REGRESSION};
    double values[] = {1, 2, 4}, target[] = {1, 3, 2};
    struct model_output p = {3, 1, values, NULL};
    json_t *m = ml_measure(&model, &p, target);
    assert_true(metric(m, "mae") == 1 && metric(m, "median_ae") == 1);
    assert_true(fabs(metric(m, "rmse") - sqrt(5.0 / 3)) < 1e-15);
    assert_true(fabs(metric(m, "r2") + 1.5) < 1e-15);
    assert_int_equal(json_integer_value(json_object_get(m, "rows")), 3);
    json_decref(m);
}

/* ---- What cannot be trained ---- */

static void one_class_only_is_a_clear_error(void **state)
{
    (void)state;
    struct nx_err err;
    struct model *model = model_new();
    int64_t ones[5] = {1, 1, 1, 1, 1};
    struct column y = {.name = "late", .type = TABLE_INT64, .n_rows = 5, .as.i = ones};
    const struct ml_algorithm *a = ml_algorithm_find("gradient_boosting", &err);
    assert_false(ml_fit_target(model, &y, ML_TASK_BINARY, NULL, a, &err));
    assert_non_null(strstr(err.text, "one class only ('1')"));
    ones[2] = 0;
    assert_false(ml_fit_target(model, &y, ML_TASK_AUTO, "7", a, &err));
    assert_non_null(strstr(err.text, "positive '7' is no class of 'late'"));
    assert_true(ml_fit_target(model, &y, ML_TASK_AUTO, "0", a, &err));
    assert_int_equal(model->task, MODEL_BINARY);
    assert_int_equal(model->positive, 0);
    a = ml_algorithm_find("linear_regression", &err);
    assert_false(ml_fit_target(model, &y, ML_TASK_BINARY, NULL, a, &err));
    assert_non_null(strstr(err.text, "does no classification"));
    model_free(model);
}

static void columns_without_values_are_left_out_and_ids_refused(void **state)
{
    (void)state;
    struct nx_err err;
    struct fixture f = {0};
    struct ml_report report = {.arg = &f, .warn = warn};
    struct rows rows;
    fill_rows(&rows, 1, 200);
    for (size_t i = 0; i < 200; i++) {
        if (column_is_valid(&rows.column[0], i))
            rows_miss(&rows.column[0], i);
        rows.column[1].as.f[i] = 4; /* constant */
    }
    for (int linear = 0; linear < 2; linear++) {
        struct model *model = model_new();
        struct ml_fit fit = {.family = linear ? MODEL_LINEAR : MODEL_TREES,
                             .standardize = linear,
                             .max_categories = 100};
        assert_true(ml_fit_inputs(model, rows.column, rows.n_columns, &fit, &report, &err));
        assert_int_equal(model->n_inputs, 5);
        assert_non_null(strstr(f.warnings, "column 'a' has no value at all"));
        model_free(model);
    }
    struct ml_fit fit = {.family = MODEL_TREES, .max_categories = 20};
    struct model *model = model_new();
    assert_false(ml_fit_inputs(model, rows.column, rows.n_columns, &fit, &report, &err));
    assert_non_null(strstr(err.text, "column 'city' has"));
    model_free(model);
    rows_fini(&rows);
}

static void wrong_parameters_are_named_with_the_right_ones(void **state)
{
    (void)state;
    struct nx_err err;
    struct ml_params params;
    const struct ml_algorithm *a = ml_algorithm_find("gradient_boosting", &err);
    assert_false(ml_params_read(a,
                                "{\"max_dpth\": 3, \"eta\": 0.1, \"rounds\": 0, \"gamma\": "
                                "\"x\", \"max_bins\": 2.5, \"subsample\": 0}",
                                &params, &err));
    assert_non_null(strstr(err.text, "did you mean 'max_depth'?"));
    assert_non_null(strstr(err.text, "'eta' is no parameter of gradient_boosting (it is called "
                                     "'learning_rate' here)"));
    assert_non_null(strstr(err.text, "rounds is 0, but must be at least 1"));
    assert_non_null(strstr(err.text, "gamma must be a number"));
    assert_non_null(strstr(err.text, "max_bins must be a whole number"));
    assert_non_null(strstr(err.text, "subsample is 0, but must be above 0"));
    assert_false(ml_params_read(a, "[1]", &params, &err));
    assert_null(ml_algorithm_find("gradient_bosting", &err));
    assert_non_null(strstr(err.text, "did you mean 'gradient_boosting'?"));
    assert_true(ml_params_read(a, "{\"max_depth\": 3.0}", &params, &err));
    assert_true(ml_param(&params, "max_depth") == 3 && ml_param(&params, "learning_rate") == 0.3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binary_trees_are_bit_equal_to_xgboost_called_directly),
        cmocka_unit_test(trees_of_several_classes_are_bit_equal_too),
        cmocka_unit_test(regression_starts_from_the_mean_and_is_bit_equal),
        cmocka_unit_test(trees_do_not_depend_on_the_number_of_threads),
        cmocka_unit_test(early_stopping_keeps_the_best_rounds),
        cmocka_unit_test(least_squares_finds_the_plane_that_made_the_rows),
        cmocka_unit_test(dependent_columns_are_warned_of_and_shared_evenly),
        cmocka_unit_test(separable_rows_stop_with_a_warning),
        cmocka_unit_test(logistic_regression_reaches_the_optimum_of_badly_scaled_columns),
        cmocka_unit_test(logistic_regression_that_is_stopped_early_warns),
        cmocka_unit_test(models_come_back_from_their_folder_bit_for_bit),
        cmocka_unit_test(a_changed_payload_is_refused),
        cmocka_unit_test(a_golden_row_that_comes_out_different_is_refused),
        cmocka_unit_test(cut_and_twisted_payloads_of_trees_are_refused),
        cmocka_unit_test(wrong_columns_are_named_all_at_once),
        cmocka_unit_test(unseen_categories_follow_the_model),
        cmocka_unit_test(tables_of_no_and_of_one_row_are_predicted),
        cmocka_unit_test(metrics_are_those_of_the_predictions),
        cmocka_unit_test(metrics_of_numbers_are_those_of_the_predictions),
        cmocka_unit_test(one_class_only_is_a_clear_error),
        cmocka_unit_test(columns_without_values_are_left_out_and_ids_refused),
        cmocka_unit_test(wrong_parameters_are_named_with_the_right_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
