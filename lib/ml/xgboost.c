#include "lib/ml/xgboost.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

bool xgb_load(struct xgb *xgb, struct nx_err *err)
{
    static const char *const names[] = {"libxgboost.so.0", "libxgboost.so"};
    void *library = NULL;
    for (size_t i = 0; !library && i < sizeof names / sizeof names[0]; i++)
        library = dlopen(names[i], RTLD_NOW | RTLD_LOCAL);
    if (!library)
        return nx_fail(err, NX_E_UNSUPPORTED,
                       "gradient boosting needs libxgboost.so.0, which is not here; on Debian: "
                       "apt-get install libxgboost0 (%s)",
                       dlerror());
    static const struct {
        const char *name;
        size_t offset;
    } functions[] = {
#define XGB_ENTRY(name) {#name, offsetof(struct xgb, name)},
        XGB_FUNCTIONS(XGB_ENTRY)
#undef XGB_ENTRY
    };
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        void *function = dlsym(library, functions[i].name);
        if (!function)
            return nx_fail(err, NX_E_UNSUPPORTED, "this libxgboost has no %s: 1.7 is needed",
                           functions[i].name);
        memcpy((char *)xgb + functions[i].offset, &function, sizeof function);
    }
    return xgb_ok(xgb, xgb->XGBSetGlobalConfig("{\"verbosity\": 0}"), "configuration", err);
}

bool xgb_ok(const struct xgb *xgb, int status, const char *what, struct nx_err *err)
{
    if (status == 0)
        return true;
    const char *text = xgb->XGBGetLastError();
    /* "[07:05:01] ./src/file.cc:12: sentence\nStack trace: ...": the sentence is for people. */
    const char *colon = strstr(text, ": ");
    const char *start = colon && text[0] == '[' ? colon + 2 : text;
    return nx_fail(err, NX_E_INTERNAL, "XGBoost, %s: %.*s", what, (int)strcspn(start, "\n"), start);
}
