#include "lib/ml/lapack.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

bool lapack_load(struct lapack *lapack, struct nx_err *err)
{
    void *library = dlopen("liblapacke.so.3", RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return nx_fail(err, NX_E_UNSUPPORTED,
                       "linear regression needs liblapacke.so.3, which is not here; on Debian: "
                       "apt-get install liblapacke libopenblas0 (%s)",
                       dlerror());
    void *dgelsd = dlsym(library, "LAPACKE_dgelsd"), *dposv = dlsym(library, "LAPACKE_dposv");
    void *ilaver = dlsym(library, "LAPACKE_ilaver");
    if (!dgelsd || !dposv || !ilaver)
        return nx_fail(err, NX_E_UNSUPPORTED, "this liblapacke has no dgelsd, dposv or ilaver");
    __typeof__(&LAPACKE_ilaver) version;
    memcpy(&version, &ilaver, sizeof ilaver);
    lapack_int v[3] = {0};
    version(&v[0], &v[1], &v[2]);
    snprintf(lapack->version, sizeof lapack->version, "%d.%d.%d", (int)v[0], (int)v[1], (int)v[2]);
    memcpy(&lapack->dgelsd, &dgelsd, sizeof dgelsd);
    memcpy(&lapack->dposv, &dposv, sizeof dposv);
    /* Of the BLAS that it uses, when that is OpenBLAS; others have no threads. */
    void *set_threads = dlsym(library, "openblas_set_num_threads");
    if (set_threads) {
        void (*set)(int n);
        memcpy(&set, &set_threads, sizeof set);
        set(1);
    }
    return true;
}
