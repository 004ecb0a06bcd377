/* wait.file: until a file is there. One look. */
#include <sys/stat.h>

#include "lib/base/clock.h"
#include "tasks/data/files.h"

/* Whether the file is large enough, and nobody has written to it for long enough. */
static bool is_ready(struct nx_ctx *ctx, const char *path, int64_t *bytes)
{
    struct stat st;
    int64_t quiet_ms = nx_arg_duration_ms(ctx, "unchanged_for");
    if (stat(path, &st) != 0)
        return false;
    int64_t changed_ms = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
    *bytes += st.st_size;
    return st.st_size >= nx_arg_int(ctx, "min_size") && clock_wall_ms() - changed_ms >= quiet_ms;
}

static enum nx_outcome tell(struct nx_ctx *ctx, const files_list *found, struct nx_err *err)
{
    int64_t bytes = 0;
    for (size_t i = 0; i < found->n; i++) {
        if (!is_ready(ctx, found->at[i], &bytes))
            return NX_NOT_YET; /* of several, all have to be ready */
    }
    bool ok = nx_output_text(ctx, "path", found->at[0], err) &&
              nx_output_int(ctx, "files", (int64_t)found->n, err) &&
              nx_output_int(ctx, "bytes", bytes, err);
    return ok ? NX_DONE : NX_FAILED;
}

static enum nx_outcome run(struct nx_ctx *ctx, struct nx_err *err)
{
    const char *path = nx_arg_text(ctx, "path");
    struct arena arena;
    files_list found = {0};
    enum nx_outcome outcome = NX_FAILED;
    arena_init(&arena);
    bool ok = *path == '/' ? files_find_absolute(path, &arena, &found, err)
                           : files_find(ctx, path, true, &arena, &found, err);
    if (ok)
        outcome = tell(ctx, &found, err);
    else if (err->code == NX_E_NOT_FOUND)
        outcome = NX_NOT_YET;
    vec_fini(&found);
    arena_fini(&arena);
    return outcome;
}

/* clang-format off */
static const struct nx_param params[] = {
    {.name = "path", .type = NX_T_STRING, .flags = NX_P_REQUIRED,
     .help = "A file or a pattern (* ? [abc]): relative to the project, or absolute."},
    {.name = "min_size", .type = NX_T_SIZE, .fallback = "0", .flags = NX_P_HAS_MIN, .min = 0,
     .unit = "bytes", .help = "Smaller files do not count as there."},
    {.name = "unchanged_for", .type = NX_T_DURATION, .fallback = "0", .flags = NX_P_HAS_MIN, .min = 0,
     .unit = "s", .help = "How long nobody must have written to it: it is complete then."},
    {.name = "every", .type = NX_T_DURATION, .fallback = "\"30s\"", .flags = NX_P_HAS_MIN | NX_P_HAS_MAX,
     .min = 0.1, .max = 86400, .unit = "s", .help = "How often it is looked; a constant."},
    {0},
};

static const struct nx_port outputs[] = {
    {"path", NX_T_STRING, "The file's absolute path; of several, the first."},
    {"files", NX_T_INT, "How many files match."},
    {"bytes", NX_T_INT, "Their size together."},
    {0},
};

const struct nx_operator wait_file = {
    .name = "wait.file",
    .version = 1,
    .summary = "Waits for a file, without a slot.",
    .doc =
        "A worker of the task's `queue` looks every now and then, beside its slots, whether a file is "
        "there that matches; of several, all have to be large enough and unchanged. `timeout` of the "
        "task bounds the wait; an error of a look (a folder that may not be read) is a failure that "
        "`retries` count.",
    .params = params,
    .outputs = outputs,
    .example =
        "arrived:\n"
        "  uses: wait.file\n"
        "  timeout: 6h\n"
        "  with: {path: \"incoming/*.csv\", unchanged_for: 1m, every: 10s}\n",
    .flags = NX_OP_POKE,
    .run = run,
};
/* clang-format on */
