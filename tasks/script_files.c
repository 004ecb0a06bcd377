#include "tasks/script_files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/mem.h"
#include "lib/base/str.h"
#include "lib/text/json.h"

/* Lines may be written again and again (the last wins), so the file may be larger than what comes
 * of it; but it is read whole. */
#define OUTPUT_FILE_FACTOR 16
#define ARTIFACTS_MAX 1000
#define PROGRESS_READ_MAX 65536

/* ---- Outputs ---- */

static bool is_key(const char *s, size_t n)
{
    if (n == 0 || n > NX_ID_MAX || isdigit((unsigned char)s[0]))
        return false;
    for (size_t i = 0; i < n; i++)
        if (!isalnum((unsigned char)s[i]) && s[i] != '_')
            return false;
    return true;
}

static bool take_pair(struct nx_ctx *ctx, const char *line, size_t n, struct nx_err *err)
{
    const char *equals = memchr(line, '=', n);
    size_t n_key = equals ? (size_t)(equals - line) : 0;
    if (!equals || !is_key(line, n_key))
        return nx_fail(err, NX_E_INVALID,
                       "'%.*s%s' is neither key=value nor a JSON object; a key has letters, digits "
                       "and _",
                       (int)(n < 60 ? n : 60), line, n < 60 ? "" : "...");
    const char *value = equals + 1;
    size_t n_value = n - n_key - 1;
    if (memchr(value, 0, n_value) || !str_is_utf8(value, n_value, NULL))
        return nx_fail(err, NX_E_INVALID,
                       "the value of '%.*s' is not UTF-8 text: write a file to "
                       "NEXUS_ARTIFACTS",
                       (int)n_key, line);
    char key[NX_ID_MAX + 1];
    memcpy(key, line, n_key);
    key[n_key] = 0;
    return runtime_output(ctx, key, json_stringn(value, n_value), err);
}

static bool take_object(struct nx_ctx *ctx, const char *line, size_t n, struct nx_err *err)
{
    const char *key;
    json_t *value, *object = js_read(line, n, "JSON", err);
    bool ok = object != NULL;
    json_object_foreach(object, key, value)
    {
        if (!ok)
            break;
        ok = is_key(key, strlen(key))
                 ? runtime_output(ctx, key, json_incref(value), err)
                 : nx_fail(err, NX_E_INVALID, "'%.80s' is no name of an output: letters, digits, _",
                           key);
    }
    json_decref(object);
    return ok;
}

bool script_outputs_parse(struct nx_ctx *ctx, const char *text, size_t n, struct nx_err *err)
{
    size_t number = 0;
    for (const char *line = text, *end = text + n; line < end;) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *stop = newline ? newline : end;
        size_t length = (size_t)(stop - line), blanks = 0;
        number++;
        while (blanks < length && isspace((unsigned char)line[blanks]))
            blanks++;
        bool ok = blanks == length || (line[blanks] == '{' ? take_object(ctx, line, length, err)
                                                           : take_pair(ctx, line, length, err));
        if (!ok)
            return nx_wrap(err, "NEXUS_OUTPUT line %zu", number);
        line = stop + 1;
    }
    return true;
}

static bool take_outputs(struct nx_ctx *ctx, struct nx_err *err)
{
    struct stat st;
    size_t outputs_max = ctx->start->outputs_max ? ctx->start->outputs_max : NX_OUTPUTS_MAX;
    size_t max = outputs_max * OUTPUT_FILE_FACTOR;
    const char *path = runtime_folder(ctx, "output", err);
    if (!path)
        return false;
    if (lstat(path, &st) != 0)
        return errno == ENOENT || nx_fail(err, NX_E_IO, "NEXUS_OUTPUT: %s", strerror(errno));
    if (!S_ISREG(st.st_mode))
        return nx_fail(err, NX_E_INVALID, "NEXUS_OUTPUT is no file any more");
    if ((uint64_t)st.st_size > max)
        return nx_fail(err, NX_E_LIMIT,
                       "NEXUS_OUTPUT has %lld bytes; outputs are at most %zu: write a file to "
                       "NEXUS_ARTIFACTS instead",
                       (long long)st.st_size, outputs_max);
    struct buf text;
    buf_init(&text);
    bool ok = path_read(path, max, &text, err) &&
              script_outputs_parse(ctx, buf_text(&text), text.len, err);
    buf_fini(&text);
    return ok;
}

/* ---- Artifacts ---- */

static int is_entry(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static bool keep_one(struct nx_ctx *ctx, const char *folder, const char *name, json_t *all,
                     struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    json_t *reference;
    if (!str_is_utf8(name, strlen(name), NULL))
        return nx_fail(err, NX_E_INVALID, "the name of a file is not UTF-8");
    if (!path_join(path, sizeof path, folder, name))
        return nx_fail(err, NX_E_LIMIT, "its path is too long");
    if (!runtime_keep(ctx, path, "file", NULL, &reference, err))
        return false;
    json_object_set_new(all, name, reference);
    return true;
}

static bool take_artifacts(struct nx_ctx *ctx, struct nx_err *err)
{
    struct dirent **entries;
    const char *folder = runtime_folder(ctx, "artifacts", err);
    if (!folder)
        return false;
    int n = scandir(folder, &entries, is_entry, by_bytes);
    if (n < 0) /* a script may remove its own folder */
        return errno == ENOENT || nx_fail(err, NX_E_IO, "NEXUS_ARTIFACTS: %s", strerror(errno));
    bool ok =
        n <= ARTIFACTS_MAX ||
        nx_fail(err, NX_E_LIMIT, "%d entries, at most %d: put them in a folder", n, ARTIFACTS_MAX);
    json_t *all = json_object();
    for (int i = 0; i < n; i++) {
        if (ok && !keep_one(ctx, folder, entries[i]->d_name, all, err))
            ok = nx_wrap(err, "'%s'", entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    if (ok && n > 0)
        ok = runtime_output(ctx, "artifacts", json_incref(all), err);
    json_decref(all);
    return ok || nx_wrap(err, "NEXUS_ARTIFACTS");
}

bool script_files_take(struct nx_ctx *ctx, struct nx_err *err)
{
    const struct scratch *scratch = &ctx->runtime->scratch;
    bool outputs = scratch_maybe_touched(scratch, SCRATCH_TOP);
    bool artifacts = scratch_maybe_touched(scratch, SCRATCH_ARTIFACTS);
    return (!outputs || take_outputs(ctx, err)) && (!artifacts || take_artifacts(ctx, err));
}

/* ---- Progress ---- */

static void send_progress(struct nx_ctx *ctx, char *line)
{
    char *text;
    double fraction = strtod(line, &text);
    if (text == line || !(fraction >= 0))
        fraction = -1;
    text += strspn(text, " \t");
    nx_progress(ctx, fraction, "%s", str_is_utf8(text, strlen(text), NULL) ? text : "");
}

void script_progress_look(struct nx_ctx *ctx, const char *path, off_t *at)
{
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size <= *at)
        return;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return;
    off_t from = st.st_size - *at > PROGRESS_READ_MAX ? st.st_size - PROGRESS_READ_MAX : *at;
    char *text = mem_alloc(PROGRESS_READ_MAX + 1);
    ssize_t n = pread(fd, text, PROGRESS_READ_MAX, from);
    close(fd);
    char *end = n > 0 ? memrchr(text, '\n', (size_t)n) : NULL;
    if (end) {
        *end = 0;
        char *start = memrchr(text, '\n', (size_t)(end - text));
        send_progress(ctx, start ? start + 1 : text);
        *at = from + (end - text) + 1;
    }
    mem_free(text);
}
