/* LAPACK, loaded at first use: linked in, OpenBLAS would start its threads in every process. */
#ifndef LIB_ML_LAPACK_H
#define LIB_ML_LAPACK_H

#include <stdbool.h>

#include <lapacke.h>

#include "nexus/error.h"

struct lapack {
    __typeof__(&LAPACKE_dgelsd) dgelsd;
    __typeof__(&LAPACKE_dposv) dposv;
    char version[32]; /* of LAPACK */
};

/* One thread is set, so that sums have one order. */
bool lapack_load(struct lapack *lapack, struct nx_err *err);

#endif
