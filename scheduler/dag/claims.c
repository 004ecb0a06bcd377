#include "scheduler/dag/claims.h"

#include <ctype.h>
#include <string.h>

#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"
#include "nexus/limits.h"
#include "scheduler/dag/lua.h"

void dag_file_free(struct dag_file *file)
{
    for (size_t i = 0; i < file->ids.n; i++)
        mem_free(file->ids.at[i]);
    vec_fini(&file->ids);
    mem_free(file->path);
    mem_free(file);
}

bool dag_file_claims(const struct dag_file *file, const char *id)
{
    for (size_t i = 0; i < file->ids.n; i++) {
        if (str_eq(file->ids.at[i], id))
            return true;
    }
    return false;
}

void dag_file_claim(struct dag_file *file, const char *id)
{
    if (!dag_file_claims(file, id))
        vec_push(&file->ids, mem_strdup(id));
}

/* ---- A quick look ---- */

static void add_guess(struct id_list *ids, const char *s, size_t n)
{
    while (n && (*s == ' ' || *s == '"' || *s == '\'')) {
        s++;
        n--;
    }
    size_t end = strcspn(s, " \"'#\r\n");
    vec_push(&ids->list, mem_strndup(s, end < n ? end : n));
}

static void add_path_guess(struct id_list *ids, const char *path)
{
    const char *name = path_base(path), *dot = strrchr(name, '.');
    vec_push(&ids->list, mem_strndup(name, dot ? (size_t)(dot - name) : strlen(name)));
}

void guess_ids(const char *path, const char *text, struct id_list *ids)
{
    bool named = false, content = false;
    for (const char *line = text; *line;) {
        size_t n = strcspn(line, "\n");
        if (n >= 3 && memcmp(line, "---", 3) == 0) {
            if (content && !named)
                add_path_guess(ids, path);
            named = content = false;
        } else if (n > 3 && memcmp(line, "id:", 3) == 0) {
            add_guess(ids, line + 3, n - 3);
            named = true;
        } else if (n && *line != '#') {
            content = true;
        }
        line += n + (line[n] == '\n');
    }
    if (content && !named)
        add_path_guess(ids, path);
}

void tree_ids(const char *path, const json_t *tree, struct id_list *ids)
{
    const char *id;
    for (size_t i = 0; !(id = lua_id(tree, i)) || *id; i++) {
        if (id)
            vec_push(&ids->list, mem_strdup(id));
        else
            add_path_guess(ids, path);
    }
}

bool guess_files(const char *text)
{
    static const char key[] = "files";
    for (const char *at = text; (at = strstr(at, key)); at += sizeof key - 1) {
        const char *after = at + sizeof key - 1;
        if (at > text && (isalnum((unsigned char)at[-1]) || strchr("_-/", at[-1])))
            continue;
        after += *after == '"' || *after == '\'';
        after += strspn(after, " \t\r\n");
        if (*after == ':')
            return true;
    }
    return false;
}

void id_list_fini(struct id_list *ids)
{
    for (size_t i = 0; i < ids->list.n; i++)
        mem_free(ids->list.at[i]);
    vec_fini(&ids->list);
}

/* ---- Hashes ---- */

void version_hash(const struct spec *spec, const char *source_hash, const struct loader_file *files,
                  size_t n_files, char hash[LOADER_HASH_MAX])
{
    struct sha256 sha;
    struct buf text;
    buf_init(&text);
    buf_printf(&text, "nexus dag 1\n%s\n%s\n", spec->id, source_hash);
    for (size_t i = 0; i < n_files; i++) {
        char content[SHA256_HEX];
        sha256_of(files[i].data, files[i].n_bytes, content);
        buf_printf(&text, "%s %d %s\n", content, files[i].executable, files[i].path);
    }
    sha256_init(&sha);
    sha256_add(&sha, buf_text(&text), text.len);
    sha256_end_hex(&sha, hash);
    buf_fini(&text);
}

void files_sign(struct spec *const *specs, size_t n, char hash[LOADER_HASH_MAX])
{
    struct buf text;
    buf_init(&text);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < specs[i]->n_files; k++) {
            const struct spec_file *file = &specs[i]->files[k];
            struct stat st;
            struct file_sign sign = {0};
            if (stat(file->source, &st) == 0)
                sign = sign_of(&st);
            buf_printf(&text, "%s %s %lld %lld %lld %llu\n", specs[i]->id, file->path,
                       (long long)sign.modified_ns, (long long)sign.changed_ns,
                       (long long)sign.n_bytes, (unsigned long long)sign.inode);
        }
    }
    sha256_of(buf_text(&text), text.len, hash);
    buf_fini(&text);
}

bool read_version_files(const struct spec *spec, struct loader_file **files, size_t *n_files,
                        struct nx_err *err)
{
    struct loader_file *list = mem_alloc_array(spec->n_files, sizeof *list);
    size_t left = NX_FILES_MAX_BYTES;
    for (size_t i = 0; i < spec->n_files; i++) {
        struct buf content;
        buf_init(&content);
        if (!path_read(spec->files[i].source, left, &content, err)) {
            buf_fini(&content);
            free_version_files(list, i);
            return nx_wrap(err, "files: %s", spec->files[i].path);
        }
        left -= content.len;
        list[i].path = mem_strdup(spec->files[i].path);
        list[i].data = buf_take(&content, &list[i].n_bytes);
        list[i].executable = spec->files[i].executable;
    }
    *files = list;
    *n_files = spec->n_files;
    return true;
}

void free_version_files(struct loader_file *files, size_t n_files)
{
    for (size_t i = 0; i < n_files; i++) {
        mem_free((void *)(uintptr_t)files[i].path);
        mem_free((void *)(uintptr_t)files[i].data);
    }
    mem_free(files);
}
