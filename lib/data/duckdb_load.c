/* Finding libduckdb.so and resolving its functions. */
#include <dlfcn.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/data/duckdb_api.h"

#if defined(__x86_64__)
#define NODE_PACKAGE "node_modules/@duckdb/node-bindings-linux-x64/libduckdb.so"
#elif defined(__aarch64__)
#define NODE_PACKAGE "node_modules/@duckdb/node-bindings-linux-arm64/libduckdb.so"
#else
#error "no libduckdb.so is published for this processor"
#endif

static bool try_path(char *to, const char *folder, const char *name)
{
    return path_join(to, PATH_MAX_BYTES, folder, name) && path_exists(to);
}

/* Where the library is, or false. */
static bool find_library(char *to)
{
    const char *given = getenv("NEXUS_DUCKDB");
    if (given && *given) {
        return str_copy(to, PATH_MAX_BYTES, given);
    }
    char folder[PATH_MAX_BYTES];
    if (!path_of_program(folder, sizeof folder)) {
        return false;
    }
    if (try_path(to, folder, "../lib/nexus/libduckdb.so") ||
        try_path(to, folder, "../../lib/nexus/libduckdb.so")) {
        return true;
    }
    for (;;) {
        if (try_path(to, *folder ? folder : "/", NODE_PACKAGE)) {
            return true;
        }
        char *slash = strrchr(folder, '/');
        if (!slash) {
            return false;
        }
        *slash = 0;
    }
}

/* dlsym gives an object pointer; POSIX says that it converts. */
static bool resolve(void *library, const char *name, void *to, struct nx_err *err)
{
    void *p = dlsym(library, name);
    if (!p) {
        return nx_fail(err, NX_E_UNSUPPORTED, "libduckdb.so has no function %s: run `make deps`",
                       name);
    }
    memcpy(to, &p, sizeof p);
    return true;
}

bool duckdb_load(struct duckdb_api *api, struct nx_err *err)
{
    must(api);
    char path[PATH_MAX_BYTES];
    if (!find_library(path)) {
        return nx_fail(
            err, NX_E_NOT_FOUND,
            "libduckdb.so was not found: run `make deps`, or set NEXUS_DUCKDB to its path");
    }
    struct duckdb_api found = {0};
    found.library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (!found.library) {
        const char *why = dlerror();
        return nx_fail(err, NX_E_IO, "%s cannot be loaded: %s", path,
                       why ? why : "no reason given");
    }
    bool ok = true;
#define DUCKDB_RESOLVE(result, name, arguments) \
    ok = ok && resolve(found.library, "duckdb_" #name, &found.name, err);
    DUCKDB_FUNCTIONS(DUCKDB_RESOLVE)
#undef DUCKDB_RESOLVE
    if (ok && !str_starts(found.library_version(), DUCKDB_VERSION_WANTED)) {
        ok =
            nx_fail(err, NX_E_UNSUPPORTED, "%s is DuckDB %s; this Nexus needs %sx: run `make deps`",
                    path, found.library_version(), DUCKDB_VERSION_WANTED);
    }
    if (!ok) {
        dlclose(found.library);
        return false;
    }
    *api = found;
    return true;
}
