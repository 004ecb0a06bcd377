/* lib/stat against the values that scikit-learn 1.2.1 and numpy 1.24.2 give on the same rows; the
 * rows come from a congruential generator that is easily repeated there. */
#include "tests/unit/test.h"

#include <math.h>

#include "lib/stat/stat.h"

#define N 1000
#define K 4

struct lcg {
    uint64_t s;
};

static double unit(struct lcg *g)
{
    g->s = g->s * 6364136223846793005u + 1442695040888963407u;
    return (double)(g->s >> 33) / 2147483648.0;
}

static double p[N], rows[N * K], y[N], f[N];
static uint8_t positive[N];
static uint32_t truth[N], predicted[N];

static int fill(void **state)
{
    (void)state;
    struct lcg g = {12345};
    for (size_t i = 0; i < N; i++) {
        double a = unit(&g);
        positive[i] = unit(&g) < a;
        double q = 0.2 + 0.6 * a * unit(&g);
        q = q + 0.1 * unit(&g);
        p[i] = i % 2 == 0 ? floor(q * 50) / 50 : q;
    }
    for (size_t i = 0; i < N; i++) {
        double *row = rows + i * K, total = 0, upto = 0;
        for (size_t k = 0; k < K; k++)
            total += row[k] = unit(&g) + 1e-3;
        for (size_t k = 0; k < K; k++)
            row[k] /= total;
        double z = unit(&g);
        truth[i] = K - 1;
        for (size_t k = K; k-- > 0;) {
            upto = 0;
            for (size_t j = 0; j <= k; j++)
                upto += row[j];
            if (z < upto)
                truth[i] = (uint32_t)k;
            if (row[k] >= row[predicted[i]])
                predicted[i] = (uint32_t)k;
        }
    }
    for (size_t i = 0; i < N; i++) {
        y[i] = 100 + 200 * unit(&g);
        f[i] = y[i] + 20 * (unit(&g) - 0.5);
    }
    return 0;
}

static void near(double is, double should)
{
    if (!(fabs(is - should) <= 1e-13 * fmax(1, fabs(should))))
        fail_msg("%.17g is not %.17g", is, should);
}

static void binary_metrics_are_those_of_scikit_learn(void **state)
{
    (void)state;
    double v = 0;
    assert_true(stat_roc_auc(positive, p, N, &v));
    near(v, 0.70916011905714416);
    assert_true(stat_average_precision(positive, p, N, &v));
    near(v, 0.72332039048443142);
    assert_true(stat_log_loss(positive, p, N, &v));
    near(v, 0.64969977051651218);
    assert_true(stat_brier(positive, p, N, &v));
    near(v, 0.2288748184362874);
}

static void label_metrics_are_those_of_scikit_learn(void **state)
{
    (void)state;
    uint32_t is[N], said[N];
    uint64_t count[4], counts[K * K];
    for (size_t i = 0; i < N; i++) {
        is[i] = positive[i];
        said[i] = p[i] >= 0.4;
    }
    stat_confusion(is, said, N, 2, count);
    double v = 0;
    assert_true(stat_accuracy(count, 2, &v));
    near(v, 0.665);
    struct stat_prf m = stat_prf_class(count, 2, 1);
    near(m.precision, 0.70405727923627681);
    near(m.recall, 0.58300395256916993);
    near(m.f1, 0.63783783783783776);
    near(stat_mcc(count, 2), 0.33641164539783491);

    stat_confusion(truth, predicted, N, K, counts);
    static const uint64_t should[K * K] = {87, 48, 58,  46, 60, 76, 50, 36,
                                           59, 51, 117, 54, 44, 50, 58, 106};
    assert_memory_equal(counts, should, sizeof should);
    m = stat_prf_macro(counts, K);
    near(m.precision, 0.38430546713521341);
    near(m.recall, 0.38339547467096907);
    near(m.f1, 0.3836916451523697);
    m = stat_prf_weighted(counts, K);
    near(m.precision, 0.38734007600580161);
    near(m.recall, 0.386);
    near(m.f1, 0.38650998405416082);
    near(stat_mcc(counts, K), 0.17956521948010054);
}

static void multiclass_metrics_are_those_of_scikit_learn(void **state)
{
    (void)state;
    double v = 0;
    assert_true(stat_log_loss_classes(truth, rows, N, K, &v));
    near(v, 1.2346190548541551);
    assert_true(stat_roc_auc_macro(truth, rows, N, K, &v));
    near(v, 0.69698414917655149);
}

static void regression_metrics_are_those_of_scikit_learn(void **state)
{
    (void)state;
    double v = 0;
    assert_true(stat_rmse(y, f, N, &v));
    near(v, 5.6836148065919394);
    assert_true(stat_mae(y, f, N, &v));
    near(v, 4.9053693635016682);
    assert_true(stat_r2(y, f, N, &v));
    near(v, 0.99018454715478865);
    assert_true(stat_mape(y, f, N, &v));
    near(v, 0.026684695882712717);
    assert_true(stat_median_ae(y, f, N, &v));
    near(v, 4.9087552819401026);
}

static void quantiles_are_those_of_numpy(void **state)
{
    (void)state;
    double sorted[N];
    memcpy(sorted, y, sizeof sorted);
    stat_sort(sorted, N);
    near(stat_quantile(sorted, N, 0.1), 121.95827406831086);
    near(stat_quantile(sorted, N, 0.5), 200.91430032625794);
    near(stat_quantile(sorted, N, 0.937), 287.74253509715203);
    near(stat_quantile(sorted, N, 0), sorted[0]);
    near(stat_quantile(sorted, N, 1), sorted[N - 1]);
    near(stat_quantile(sorted, 1, 0.3), sorted[0]);
    near(stat_mean(y, N), 201.05962490700185);
    near(stat_variance(y, N), 3291.0837410289155);
}

static void what_is_not_defined_is_refused_and_leaves_the_output(void **state)
{
    (void)state;
    const uint8_t all[3] = {1, 1, 1}, none[3] = {0, 0, 0};
    const double s[3] = {0.1, 0.2, 0.3}, same[3] = {5, 5, 5}, zero[3] = {0, 1, 2};
    const uint32_t one[3] = {0, 0, 0};
    double v = 7;
    assert_false(stat_roc_auc(all, s, 3, &v));
    assert_false(stat_roc_auc(none, s, 3, &v));
    assert_false(stat_average_precision(none, s, 3, &v));
    assert_false(stat_log_loss(all, s, 0, &v));
    assert_false(stat_roc_auc_macro(one, s, 1, 3, &v));
    assert_false(stat_r2(same, s, 3, &v));
    assert_false(stat_r2(s, s, 1, &v));
    assert_false(stat_mape(zero, s, 3, &v));
    assert_false(stat_rmse(s, s, 0, &v));
    assert_true(v == 7);
    uint64_t empty[4] = {0};
    assert_false(stat_accuracy(empty, 2, &v));
    assert_true(stat_mcc(empty, 2) == 0);
}

static void extremes_of_scores_are_kept_exact(void **state)
{
    (void)state;
    const uint8_t is[4] = {0, 1, 0, 1};
    const double tied[4] = {0.5, 0.5, 0.5, 0.5}, right[4] = {0, 1, 0, 1}, wrong[4] = {1, 0, 1, 0};
    double v = 0;
    assert_true(stat_roc_auc(is, tied, 4, &v) && v == 0.5);
    assert_true(stat_roc_auc(is, right, 4, &v) && v == 1);
    assert_true(stat_roc_auc(is, wrong, 4, &v) && v == 0);
    assert_true(stat_average_precision(is, tied, 4, &v) && v == 0.5);
    assert_true(stat_log_loss(is, wrong, 4, &v));
    near(v, 52 * log(2)); /* clipped, not infinite */
    assert_true(stat_log_loss(is, right, 4, &v) && v < 1e-15);
}

static void sorting_is_stable_and_puts_nan_last(void **state)
{
    (void)state;
    const double v[7] = {3, NAN, 1, 3, -INFINITY, 1, INFINITY};
    uint32_t order[7];
    stat_order(v, 7, order);
    const uint32_t should[7] = {4, 2, 5, 0, 3, 6, 1};
    assert_memory_equal(order, should, sizeof should);
}

static void sums_do_not_lose_small_terms(void **state)
{
    (void)state;
    struct stat_sum s = {0};
    stat_sum_add(&s, 1e16);
    for (int i = 0; i < 1000; i++)
        stat_sum_add(&s, 1);
    stat_sum_add(&s, -1e16);
    assert_true(stat_sum_get(&s) == 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binary_metrics_are_those_of_scikit_learn),
        cmocka_unit_test(label_metrics_are_those_of_scikit_learn),
        cmocka_unit_test(multiclass_metrics_are_those_of_scikit_learn),
        cmocka_unit_test(regression_metrics_are_those_of_scikit_learn),
        cmocka_unit_test(quantiles_are_those_of_numpy),
        cmocka_unit_test(what_is_not_defined_is_refused_and_leaves_the_output),
        cmocka_unit_test(extremes_of_scores_are_kept_exact),
        cmocka_unit_test(sorting_is_stable_and_puts_nan_last),
        cmocka_unit_test(sums_do_not_lose_small_terms),
    };
    return cmocka_run_group_tests(tests, fill, NULL);
}
