/* XGBoost's C API, loaded at first use. */
#ifndef LIB_ML_XGBOOST_H
#define LIB_ML_XGBOOST_H

#include <stdbool.h>

#include <xgboost/c_api.h>

#include "nexus/error.h"

#define XGB_FUNCTIONS(X) \
    X(XGBoostVersion) \
    X(XGBGetLastError) \
    X(XGBSetGlobalConfig) \
    X(XGDMatrixCreateFromDense) \
    X(XGDMatrixSetDenseInfo) \
    X(XGDMatrixSetStrFeatureInfo) \
    X(XGDMatrixFree) \
    X(XGProxyDMatrixCreate) \
    X(XGProxyDMatrixSetDataDense) \
    X(XGQuantileDMatrixCreateFromCallback) \
    X(XGBoosterCreate) \
    X(XGBoosterFree) \
    X(XGBoosterSetParam) \
    X(XGBoosterUpdateOneIter) \
    X(XGBoosterPredictFromDMatrix) \
    X(XGBoosterSlice) \
    X(XGBoosterSaveModelToBuffer)

/* One pointer a function, called as xgb->XGBoosterCreate(...). */
struct xgb {
#define XGB_MEMBER(name) __typeof__(&(name)) name;
    XGB_FUNCTIONS(XGB_MEMBER)
#undef XGB_MEMBER
};

/* Cheap after the first time; the library stays loaded until the process ends. NX_E_UNSUPPORTED
 * when there is none, with the package that has it. */
bool xgb_load(struct xgb *xgb, struct nx_err *err);
/* Whether a call succeeded (0); else *err gets what the library says. */
bool xgb_ok(const struct xgb *xgb, int status, const char *what, struct nx_err *err);

#endif
