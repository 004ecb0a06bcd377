/* Metrics and quantiles. PURE: memory in, numbers out; sums are compensated (Neumaier 1974), so the
 * result does not depend on how large n is. A metric that is not defined on its input (one class
 * only, no rows) returns false and leaves its output untouched.
 *
 * Classes are indices 0..n_classes-1; `positive[i]` is 1 when row i has the positive class, else 0.
 * Definitions are those of scikit-learn 1.2 unless said otherwise. */
#ifndef LIB_STAT_STAT_H
#define LIB_STAT_STAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Sums, order, quantiles ---- */

struct stat_sum {
    double sum, lost;
};

void stat_sum_add(struct stat_sum *s, double v);
double stat_sum_get(const struct stat_sum *s);

/* n > 0. */
double stat_mean(const double *v, size_t n);
/* Around the mean, divided by n (not n - 1); n > 0. Two passes. */
double stat_variance(const double *v, size_t n);

/* Ascending, NaN last. */
void stat_sort(double *v, size_t n);
/* order[i] = index of the i-th smallest; equal values keep their order; NaN last. */
void stat_order(const double *v, size_t n, uint32_t *order);
/* The q-quantile, 0 <= q <= 1, of ascending values without NaN; linear interpolation between the
 * two nearest order statistics (type 7 of Hyndman and Fan 1996; numpy's and R's default). n > 0. */
double stat_quantile(const double *sorted, size_t n, double q);

/* ---- Binary classification: probability or score of the positive class ---- */

/* P(score of a positive > score of a negative) + half of P(equal): the Mann-Whitney statistic by
 * midranks (Hanley and McNeil 1982). Needs both classes. */
bool stat_roc_auc(const uint8_t *positive, const double *score, size_t n, double *auc);
/* Sum over thresholds, from the highest score, of (recall step) * precision; equal scores are one
 * threshold; no interpolation. Needs a positive. */
bool stat_average_precision(const uint8_t *positive, const double *score, size_t n, double *ap);
/* Mean of -ln p(class of the row); p clipped to [2^-52, 1 - 2^-52]. */
bool stat_log_loss(const uint8_t *positive, const double *p, size_t n, double *loss);
/* Mean of (p - positive)^2 (Brier 1950, the halved form). */
bool stat_brier(const uint8_t *positive, const double *p, size_t n, double *brier);

/* ---- Classification from labels ---- */

/* count[t * n_classes + p]: rows of true class t predicted as p. Fills all of count. */
void stat_confusion(const uint32_t *truth, const uint32_t *predicted, size_t n, size_t n_classes,
                    uint64_t *count);
bool stat_accuracy(const uint64_t *count, size_t n_classes, double *accuracy);

struct stat_prf {
    double precision, recall, f1; /* 0 where the denominator is 0 */
};

/* Of one class against the rest. */
struct stat_prf stat_prf_class(const uint64_t *count, size_t n_classes, size_t k);
/* Mean over the classes that occur in truth or prediction. */
struct stat_prf stat_prf_macro(const uint64_t *count, size_t n_classes);
/* Mean weighted by the rows of each true class. */
struct stat_prf stat_prf_weighted(const uint64_t *count, size_t n_classes);
/* Matthews' correlation for any number of classes (Gorodkin 2004); 0 where it is 0/0. */
double stat_mcc(const uint64_t *count, size_t n_classes);

/* p: n x n_classes, row-major, clipped to [2^-52, 1 - 2^-52], then each row divided by its sum. */
bool stat_log_loss_classes(const uint32_t *truth, const double *p, size_t n, size_t n_classes,
                           double *loss);
/* Mean of the one-versus-rest ROC AUCs; every class must have rows. p as above, unclipped. */
bool stat_roc_auc_macro(const uint32_t *truth, const double *p, size_t n, size_t n_classes,
                        double *auc);

/* ---- Regression ---- */

bool stat_rmse(const double *truth, const double *predicted, size_t n, double *rmse);
bool stat_mae(const double *truth, const double *predicted, size_t n, double *mae);
/* 1 - squared error / squared deviation from the mean of truth; needs two different values. */
bool stat_r2(const double *truth, const double *predicted, size_t n, double *r2);
/* Mean of |error / truth|, a share, not percent. Not defined (scikit-learn: huge) with a 0 in
 * truth. */
bool stat_mape(const double *truth, const double *predicted, size_t n, double *mape);
bool stat_median_ae(const double *truth, const double *predicted, size_t n, double *median);

#endif
