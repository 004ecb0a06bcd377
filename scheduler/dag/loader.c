#include "scheduler/dag/loader.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "lib/base/clock.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "nexus/limits.h"
#include "scheduler/dag/claims.h"
#include "scheduler/dag/lua.h"

#define SETTLE_MS 30     /* after a change: an editor writes more than once */
#define ABSENT_MS 1000   /* how often a folder that is not there is looked for */
#define RACY_NS 50000000 /* a file changed this recently may change again with the same time */
#define WRITING_MS 400   /* one that does not rest is read all the same after so long */

/* A DAG that was told. */
struct live {
    char hash[LOADER_HASH_MAX];
    char *file;
};

/* A file that this scan reads. */
struct load {
    struct dag_file *file;
    struct buf text;
    json_t *tree; /* a Lua file's, once it was run; NULL: YAML, or unreadable */
    struct file_sign sign;
    bool unreadable;
    struct nx_err err;
};

struct loader {
    char *folder;
    char *shown; /* the folder's own name, for problems: "dags" */
    const json_t *catalog;
    loader_fn *fn;
    void *arg;
    pthread_t thread;
    atomic_bool stop;
    int wake_fd, inotify_fd;
    struct map files;  /* path -> struct dag_file */
    struct map live;   /* id -> struct live */
    struct map claims; /* id -> how many files claim it, in this scan */
    VEC(struct load) loads;
    bool scanned; /* the first scan is done */
    bool soon;    /* a file was too young to be sure of: look again */
};

/* ---- Events ---- */

void loader_event_free(struct loader_event *event)
{
    if (!event)
        return;
    mem_free(event->file);
    mem_free(event->id);
    buf_fini(&event->source);
    spec_free(event->spec);
    graph_release(event->graph);
    free_version_files(event->files, event->n_files);
    problems_fini(&event->problems);
    mem_free(event);
}

static struct loader_event *event_new(enum loader_kind kind, const char *file, const char *id)
{
    struct loader_event *event = mem_alloc(sizeof *event);
    event->kind = kind;
    event->file = file ? mem_strdup(file) : NULL;
    event->id = id ? mem_strdup(id) : NULL;
    problems_init(&event->problems);
    return event;
}

static void tell(struct loader *l, struct loader_event *event)
{
    l->fn(l->arg, event);
}

/* ---- What is claimed ---- */

static size_t claim_count(const struct loader *l, const char *id)
{
    return (size_t)(uintptr_t)map_get(&l->claims, id);
}

static void count_claim(struct loader *l, const char *id)
{
    map_set(&l->claims, id, (void *)(uintptr_t)(claim_count(l, id) + 1));
}

static bool is_loaded(const struct loader *l, const struct dag_file *file)
{
    for (size_t i = 0; i < l->loads.n; i++) {
        if (l->loads.at[i].file == file)
            return true;
    }
    return false;
}

static void count_file(struct loader *l, const struct dag_file *file)
{
    for (size_t i = 0; i < file->ids.n; i++)
        count_claim(l, file->ids.at[i]);
}

static void load_ids(const struct load *load, struct id_list *ids)
{
    if (load->tree && json_object_get(load->tree, "error")) /* it keeps what it claimed before */
        for (size_t i = 0; i < load->file->ids.n; i++)
            vec_push(&ids->list, mem_strdup(load->file->ids.at[i]));
    else if (load->tree)
        tree_ids(load->file->path, load->tree, ids);
    else
        guess_ids(load->file->path, buf_text(&load->text), ids);
}

static void count_load(struct loader *l, const struct load *load)
{
    struct id_list ids = {0};
    load_ids(load, &ids);
    for (size_t i = 0; i < ids.list.n; i++) {
        bool twice = false; /* in one file: its own mistake */
        for (size_t k = 0; k < i; k++)
            twice = twice || str_eq(ids.list.at[k], ids.list.at[i]);
        if (!twice)
            count_claim(l, ids.list.at[i]);
    }
    id_list_fini(&ids);
}

/* ---- Reading ---- */

static bool read_file(struct loader *l, const struct dag_file *file, struct buf *text,
                      struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    if (!path_join(path, sizeof path, l->folder, file->path))
        return nx_fail(err, NX_E_LIMIT, "its path is too long");
    const char *unusable = found_unusable(path);
    return unusable ? nx_fail(err, NX_E_IO, "%s", unusable)
                    : path_read(path, NX_DAG_FILE_MAX, text, err);
}

static bool is_young(const struct file_sign *sign)
{
    int64_t now_ns = clock_wall_ms() * 1000000;
    return sign->modified_ns > now_ns - RACY_NS && sign->modified_ns <= now_ns;
}

/* Whether it may be written just now: half of a file may be a valid one. */
static bool is_written(struct loader *l, struct dag_file *file, const struct file_sign *sign)
{
    int64_t now = clock_mono_ms();
    if (!l->scanned || !is_young(sign)) {
        file->written_since = 0;
        return false;
    }
    if (!file->written_since)
        file->written_since = now;
    if (now - file->written_since >= WRITING_MS)
        return false;
    l->soon = true;
    return true;
}

static void add_load(struct loader *l, struct dag_file *file, const struct file_sign *sign)
{
    struct load load = {.file = file, .sign = *sign};
    char hash[LOADER_HASH_MAX];
    buf_init(&load.text);
    load.unreadable = !read_file(l, file, &load.text, &load.err);
    sha256_of(buf_text(&load.text), load.text.len, hash);
    file->sign_known = true;
    file->sign = *sign;
    if (is_young(sign)) {
        file->sign_known = false;
        l->soon = true;
    }
    if (load.unreadable)
        file->sign_known = false; /* tried again by every scan */
    bool same = !load.unreadable && str_eq(hash, file->source_hash);
    bool lua = lua_is_name(file->path);
    file->has_files =
        lua ? strstr(buf_text(&load.text), "files") != NULL : guess_files(buf_text(&load.text));
    if (same && !file->has_files && !file->conflicted && !file->errors_open) {
        buf_fini(&load.text);
        return;
    }
    if (!same)
        file->files_sign[0] = 0;
    memcpy(file->source_hash, hash, sizeof hash);
    if (lua && !load.unreadable)
        load.tree = lua_run_apart(buf_text(&load.text), load.text.len);
    vec_push(&l->loads, load);
}

static struct dag_file *file_of(struct loader *l, const char *path)
{
    struct dag_file *file = map_get(&l->files, path);
    if (!file) {
        file = mem_alloc(sizeof *file);
        file->path = mem_strdup(path);
        map_set(&l->files, path, file);
    }
    return file;
}

static void find_loads(struct loader *l, const struct found_files *found)
{
    for (size_t i = 0; i < l->files.n; i++)
        ((struct dag_file *)l->files.at[i].value)->seen = false;
    for (size_t i = 0; i < found->n && !atomic_load(&l->stop); i++) {
        struct dag_file *file = file_of(l, found->at[i].path);
        file->seen = true;
        bool changed = !file->sign_known || !sign_equal(&file->sign, &found->at[i].sign);
        if (changed && is_written(l, file, &found->at[i].sign))
            continue;
        if (changed || file->has_files || file->conflicted)
            add_load(l, file, &found->at[i].sign);
    }
}

/* Whoever claims an id that another file claims too is read, so that it can be told. */
static void find_conflicts(struct loader *l)
{
    map_fini(&l->claims);
    map_init(&l->claims);
    struct map loaded;
    map_init(&loaded);
    for (size_t i = 0; i < l->loads.n; i++) {
        map_set(&loaded, l->loads.at[i].file->path, l->loads.at[i].file);
        count_load(l, &l->loads.at[i]);
    }
    for (size_t i = 0; i < l->files.n; i++) {
        const struct dag_file *file = l->files.at[i].value;
        if (file->seen && !map_get(&loaded, file->path))
            count_file(l, file);
    }
    map_fini(&loaded);
    for (size_t i = 0; i < l->files.n; i++) {
        struct dag_file *file = l->files.at[i].value;
        bool conflict = false;
        for (size_t k = 0; k < file->ids.n && file->seen; k++)
            conflict = conflict || claim_count(l, file->ids.at[k]) > 1;
        if (conflict && !file->conflicted && !is_loaded(l, file)) {
            file->conflicted = true;
            add_load(l, file, &file->sign);
        }
    }
}

/* ---- Telling ---- */

/* Tells a file's errors when they are not those told last, or when a version of the file was told
 * meanwhile (which the receiver may take for the end of all errors). Warnings alone are not told.
 */
static void tell_errors(struct loader *l, struct dag_file *file, struct problems *problems)
{
    struct buf text;
    char hash[LOADER_HASH_MAX] = "";
    buf_init(&text);
    for (size_t i = 0; i < problems->n; i++) {
        problem_text(&problems->at[i], &text);
        buf_char(&text, '\n');
    }
    if (problems->n_errors)
        sha256_of(buf_text(&text), text.len, hash);
    buf_fini(&text);
    bool again = file->version_told && problems->n_errors;
    file->version_told = false;
    if (str_eq(hash, file->errors_hash) && !again && !file->errors_open)
        return;
    file->errors_open = false;
    memcpy(file->errors_hash, hash, sizeof hash);
    struct loader_event *event = event_new(LOADER_ERRORS, file->path, NULL);
    if (problems->n_errors) {
        struct problems empty = event->problems;
        event->problems = *problems;
        *problems = empty;
    }
    tell(l, event);
}

static void tell_version(struct loader *l, const struct load *load, struct spec *spec,
                         struct problems *problems)
{
    struct loader_file *files;
    size_t n_files;
    struct graph *graph = NULL;
    struct nx_err err;
    char hash[LOADER_HASH_MAX];
    if (!read_version_files(spec, &files, &n_files, &err)) {
        problem_add(problems, PROBLEM_ERROR, spec->file, spec->line, spec->column, "%s", err.text);
        spec_free(spec);
        return;
    }
    version_hash(spec, load->file->source_hash, files, n_files, hash);
    struct live *live = map_get(&l->live, spec->id);
    bool known = live && str_eq(live->hash, hash) && str_eq(live->file, load->file->path);
    if (known || !spec_graph(spec, &graph, &err)) {
        if (!known)
            problem_add(problems, PROBLEM_ERROR, spec->file, spec->line, spec->column, "%s",
                        err.text);
        free_version_files(files, n_files);
        spec_free(spec);
        return;
    }
    if (!live) {
        live = mem_alloc(sizeof *live);
        map_set(&l->live, spec->id, live);
    }
    mem_free(live->file);
    live->file = mem_strdup(load->file->path);
    memcpy(live->hash, hash, sizeof hash);
    struct loader_event *event = event_new(LOADER_VERSION, load->file->path, spec->id);
    memcpy(event->hash, hash, sizeof hash);
    memcpy(event->source_hash, load->file->source_hash, sizeof event->source_hash);
    buf_add(&event->source, buf_text(&load->text), load->text.len);
    event->spec = spec;
    event->graph = graph;
    event->files = files;
    event->n_files = n_files;
    load->file->version_told = true;
    tell(l, event);
}

/* Another file that claims the id, for the message. */
static const char *other_claimant(const struct loader *l, const struct dag_file *file,
                                  const char *id)
{
    for (size_t i = 0; i < l->files.n; i++) {
        const struct dag_file *other = l->files.at[i].value;
        if (other != file && other->seen && dag_file_claims(other, id))
            return other->path;
    }
    for (size_t i = 0; i < l->loads.n; i++) {
        struct id_list ids = {0};
        bool found = false;
        load_ids(&l->loads.at[i], &ids);
        for (size_t k = 0; k < ids.list.n; k++)
            found = found || str_eq(ids.list.at[k], id);
        id_list_fini(&ids);
        if (found && l->loads.at[i].file != file)
            return l->loads.at[i].file->path;
    }
    return "another file";
}

/* Renews what the file claims. With errors it keeps what it claimed before: those DAGs stay. */
static void renew_claims(struct dag_file *file, struct spec *const *specs, size_t n, bool errors)
{
    for (size_t i = 0; i < file->ids.n && !errors; i++)
        mem_free(file->ids.at[i]);
    if (!errors)
        file->ids.n = 0;
    for (size_t i = 0; i < n; i++)
        dag_file_claim(file, specs[i]->id);
}

/* True when the same file with the same `files` was told before. */
static bool nothing_new(struct load *load, struct spec *const *specs, size_t n, bool was_conflicted)
{
    char sign[LOADER_HASH_MAX];
    files_sign(specs, n, sign);
    bool same =
        str_eq(sign, load->file->files_sign) && !was_conflicted && !load->file->errors_hash[0];
    memcpy(load->file->files_sign, sign, sizeof sign);
    return same;
}

static void tell_specs(struct loader *l, struct load *load, struct spec **specs, size_t n,
                       struct problems *problems)
{
    struct dag_file *file = load->file;
    bool was_conflicted = file->conflicted;
    file->conflicted = false;
    renew_claims(file, specs, n, problems->n_errors > 0);
    bool same = nothing_new(load, specs, n, was_conflicted);
    for (size_t i = 0; i < n; i++) {
        struct spec *spec = specs[i];
        const struct live *live = map_get(&l->live, spec->id);
        if (claim_count(l, spec->id) > 1) {
            file->conflicted = true;
            problem_hint(problems,
                         problem_add(problems, PROBLEM_ERROR, spec->file, spec->line, spec->column,
                                     "the DAG '%s' is in %s too", spec->id,
                                     other_claimant(l, file, spec->id)),
                         live ? "the version of %s stays" : "neither is loaded%s",
                         live ? live->file : "");
            spec_free(spec);
        } else if (same) {
            spec_free(spec);
        } else {
            tell_version(l, load, spec, problems);
        }
    }
}

static void run_load(struct loader *l, struct load *load)
{
    struct problems problems;
    struct spec **specs = NULL;
    size_t n = 0;
    char shown[PATH_MAX_BYTES], path[PATH_MAX_BYTES], *slash;
    problems_init(&problems);
    if (!path_join(shown, sizeof shown, l->shown, load->file->path) ||
        !path_join(path, sizeof path, l->folder, load->file->path))
        load->unreadable = true;
    if (load->unreadable) {
        problem_add(&problems, PROBLEM_ERROR, shown, 0, 0, "%s", load->err.text);
    } else {
        if ((slash = strrchr(path, '/')))
            *slash = 0;
        if (load->tree)
            spec_read_tree(shown, buf_text(&load->text), load->text.len, load->tree, l->catalog,
                           path, &specs, &n, &problems);
        else
            spec_read(shown, buf_text(&load->text), load->text.len, l->catalog, path, &specs, &n,
                      &problems);
    }
    tell_specs(l, load, specs, n, &problems);
    mem_free(specs);
    tell_errors(l, load->file, &problems);
    problems_fini(&problems);
}

/* ---- What is gone ---- */

static void forget_files(struct loader *l)
{
    for (size_t i = 0; i < l->files.n;) {
        struct dag_file *file = l->files.at[i].value;
        if (file->seen) {
            i++;
            continue;
        }
        struct problems none;
        problems_init(&none);
        tell_errors(l, file, &none);
        problems_fini(&none);
        map_remove(&l->files, file->path);
        dag_file_free(file);
    }
}

static void forget_dags(struct loader *l)
{
    struct map claimed;
    map_init(&claimed);
    for (size_t i = 0; i < l->files.n; i++) {
        const struct dag_file *file = l->files.at[i].value;
        for (size_t k = 0; k < file->ids.n; k++)
            map_set(&claimed, file->ids.at[k], l);
    }
    for (size_t i = 0; i < l->live.n;) {
        struct live *live = l->live.at[i].value;
        if (map_get(&claimed, l->live.at[i].key)) {
            i++;
            continue;
        }
        tell(l, event_new(LOADER_REMOVED, live->file, l->live.at[i].key));
        mem_free(live->file);
        mem_free(live);
        char *id = mem_strdup(l->live.at[i].key); /* the map's own key goes with the entry */
        map_remove(&l->live, id);
        mem_free(id);
    }
    map_fini(&claimed);
}

/* ---- One scan ---- */

static bool any_unseen(const struct loader *l)
{
    for (size_t i = 0; i < l->files.n; i++) {
        if (!((const struct dag_file *)l->files.at[i].value)->seen)
            return true;
    }
    return false;
}

/* False: the folder is not there. What concerns all DAGs is looked at when a file has changed, come
 * or gone: a scan that finds nothing costs a look at each file. */
static bool scan(struct loader *l)
{
    struct found_files found;
    l->soon = false;
    bool there = found_scan(l->folder, l->inotify_fd, &found);
    find_loads(l, &found);
    found_fini(&found);
    bool changed = !l->scanned || l->loads.n || any_unseen(l);
    if (changed && !atomic_load(&l->stop)) {
        find_conflicts(l);
        for (size_t i = 0; i < l->loads.n && !atomic_load(&l->stop); i++)
            run_load(l, &l->loads.at[i]);
    }
    for (size_t i = 0; i < l->loads.n; i++) {
        buf_fini(&l->loads.at[i].text);
        json_decref(l->loads.at[i].tree);
    }
    vec_fini(&l->loads);
    if (atomic_load(&l->stop))
        return there;
    if (there &&
        changed) { /* a folder that is gone as a whole may be one that is not mounted: all stays */
        forget_files(l);
        forget_dags(l);
    }
    if (!l->scanned)
        tell(l, event_new(LOADER_SCANNED, NULL, NULL));
    l->scanned = true;
    return there;
}

/* ---- The thread ---- */

static void drain(int fd)
{
    char bytes[8192];
    while (fd >= 0 && read(fd, bytes, sizeof bytes) > 0)
        ;
}

static void *run(void *arg)
{
    struct loader *l = arg;
    while (!atomic_load(&l->stop)) {
        bool there = scan(l);
        int wait_ms = l->soon ? 2 * RACY_NS / 1000000 : there ? LOADER_SCAN_MS : ABSENT_MS;
        struct pollfd fds[] = {{.fd = l->wake_fd, .events = POLLIN},
                               {.fd = l->inotify_fd, .events = POLLIN}};
        if (atomic_load(&l->stop))
            break;
        int n = poll(fds, 2, wait_ms);
        drain(l->wake_fd);
        if (n > 0 && (fds[1].revents & POLLIN)) {
            struct pollfd stop = {.fd = l->wake_fd, .events = POLLIN};
            poll(&stop, 1, SETTLE_MS);
            drain(l->inotify_fd);
        }
    }
    return NULL;
}

static void remember(struct loader *l, const struct loader_known *known)
{
    struct dag_file *file = file_of(l, known->file);
    if (!known->id) {
        file->errors_open = true;
        return;
    }
    struct live *live = map_get(&l->live, known->id);
    dag_file_claim(file, known->id);
    str_copy(file->source_hash, sizeof file->source_hash, known->source_hash);
    if (!live) {
        live = mem_alloc(sizeof *live);
        map_set(&l->live, known->id, live);
    }
    str_copy(live->hash, sizeof live->hash, known->hash);
    mem_free(live->file);
    live->file = mem_strdup(known->file);
}

static void loader_free(struct loader *l)
{
    for (size_t i = 0; i < l->files.n; i++)
        dag_file_free(l->files.at[i].value);
    for (size_t i = 0; i < l->live.n; i++) {
        struct live *live = l->live.at[i].value;
        mem_free(live->file);
        mem_free(live);
    }
    map_fini(&l->files);
    map_fini(&l->live);
    map_fini(&l->claims);
    if (l->wake_fd >= 0)
        close(l->wake_fd);
    if (l->inotify_fd >= 0)
        close(l->inotify_fd);
    mem_free(l->folder);
    mem_free(l->shown);
    mem_free(l);
}

/* The folder's own name; "" for "." and "/". */
static char *shown_name(const char *folder)
{
    char path[PATH_MAX_BYTES];
    str_copy(path, sizeof path, folder);
    for (size_t n = strlen(path); n > 0 && path[n - 1] == '/'; n--)
        path[n - 1] = 0;
    const char *name = path_base(path);
    return mem_strdup(str_eq(name, ".") || str_eq(name, "..") ? "" : name);
}

bool loader_start(const char *folder, const json_t *catalog, const struct loader_known *known,
                  size_t n_known, loader_fn *fn, void *arg, struct loader **loader,
                  struct nx_err *err)
{
    struct loader *l = mem_alloc(sizeof *l);
    l->folder = mem_strdup(folder);
    l->shown = shown_name(folder);
    l->catalog = catalog;
    l->fn = fn;
    l->arg = arg;
    map_init(&l->files);
    map_init(&l->live);
    map_init(&l->claims);
    l->inotify_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC); /* without it there are scans */
    l->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    for (size_t i = 0; i < n_known; i++)
        remember(l, &known[i]);
    int failed = l->wake_fd < 0 ? errno : pthread_create(&l->thread, NULL, run, l);
    if (failed) {
        nx_fail(err, NX_E_IO, "the loader of '%s' cannot start: %s", folder, strerror(failed));
        loader_free(l);
        return false;
    }
    *loader = l;
    return true;
}

void loader_scan(struct loader *loader)
{
    uint64_t one = 1;
    ssize_t written = write(loader->wake_fd, &one, sizeof one);
    (void)written; /* full: the thread wakes anyway */
}

void loader_stop(struct loader *loader)
{
    if (!loader)
        return;
    atomic_store(&loader->stop, true);
    loader_scan(loader);
    pthread_join(loader->thread, NULL);
    loader_free(loader);
}
