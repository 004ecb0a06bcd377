/* Tokens of SQL; see sqltext.h. */
#include <string.h>
#include <strings.h>

#include "lib/base/must.h"
#include "lib/data/sqltext.h"

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (unsigned char)c >= 0x80;
}

static const char *skip_line(const char *p)
{
    while (*p && *p != '\n') {
        p++;
    }
    return p;
}

static const char *skip_comment(const char *p)
{
    int depth = 0;
    do {
        if (p[0] == '/' && p[1] == '*') {
            depth++;
            p += 2;
        } else if (p[0] == '*' && p[1] == '/') {
            depth--;
            p += 2;
        } else {
            p++;
        }
    } while (depth > 0 && *p);
    return p;
}

static const char *skip_space(const char *p)
{
    for (;;) {
        if (is_space(*p)) {
            p++;
        } else if (p[0] == '-' && p[1] == '-') {
            p = skip_line(p);
        } else if (p[0] == '/' && p[1] == '*') {
            p = skip_comment(p);
        } else {
            return p;
        }
    }
}

/* Behind a quoted text or name; a doubled mark stands for one. */
static const char *skip_quoted(const char *p)
{
    char mark = *p++;
    for (; *p; p++) {
        if (*p == mark && *++p != mark) {
            return p;
        }
    }
    return p;
}

/* Behind $tag$ ... $tag$, or NULL when no such text begins here ($1 is a parameter). */
static const char *skip_dollars(const char *p)
{
    const char *end = p + 1;
    if (*end >= '0' && *end <= '9') {
        return NULL;
    }
    while (is_word(*end)) {
        end++;
    }
    if (*end != '$') {
        return NULL;
    }
    size_t n = (size_t)(end + 1 - p);
    for (end = p + n; *end; end++) {
        if (strncmp(end, p, n) == 0) {
            return end + n;
        }
    }
    return end;
}

/* Behind E'...', where a backslash takes the next byte along. */
static const char *skip_escaped(const char *p)
{
    for (p += 2; *p; p++) {
        if (*p == '\\' && p[1]) {
            p++;
        } else if (*p == '\'' && *++p != '\'') {
            return p;
        }
    }
    return p;
}

struct sqltext_token sqltext_next(const char **p)
{
    const char *at = *p, *end = at;
    enum sqltext_kind kind = SQLTEXT_OTHER;
    if (!*at) {
        return (struct sqltext_token){SQLTEXT_END, at, 0};
    }
    if ((end = skip_space(at)) != at) {
        kind = SQLTEXT_SPACE;
    } else if (*at == '\'') {
        kind = SQLTEXT_TEXT;
        end = skip_quoted(at);
    } else if (*at == '"') {
        kind = SQLTEXT_NAME;
        end = skip_quoted(at);
    } else if (*at == '$' && (end = skip_dollars(at))) {
        kind = SQLTEXT_TEXT;
    } else if ((*at == 'e' || *at == 'E') && at[1] == '\'') {
        kind = SQLTEXT_TEXT;
        end = skip_escaped(at);
    } else if (is_word(*at)) {
        kind = SQLTEXT_WORD;
        for (end = at; is_word(*end);) {
            end++;
        }
    } else {
        end = at + 1;
    }
    *p = end;
    return (struct sqltext_token){kind, at, (size_t)(end - at)};
}

size_t sqltext_end(const char *sql)
{
    const char *p = sql;
    size_t n = 0;
    for (;;) {
        struct sqltext_token token = sqltext_next(&p);
        if (token.kind == SQLTEXT_END) {
            return n;
        }
        if (token.kind != SQLTEXT_SPACE && !(token.kind == SQLTEXT_OTHER && *token.at == ';')) {
            n = (size_t)(p - sql);
        }
    }
}

static bool is_reader(const struct sqltext_token *token)
{
    static const char *const readers[] = {
        "read_parquet", "parquet_scan",     "read_csv",          "read_csv_auto",
        "read_json",    "read_json_auto",   "read_json_objects", "read_ndjson",
        "read_text",    "read_ndjson_auto", "read_blob",         "read_ndjson_objects",
    };
    for (size_t i = 0; token->kind == SQLTEXT_WORD && i < sizeof readers / sizeof *readers; i++) {
        if (strlen(readers[i]) == token->n && strncasecmp(readers[i], token->at, token->n) == 0) {
            return true;
        }
    }
    return false;
}

/* 'it''s' -> it's. Other ways to write a text are left to DuckDB, which will not open them. */
static bool unquote(const struct sqltext_token *token, struct buf *path)
{
    buf_clear(path);
    if (*token->at != '\'' || token->n < 2) {
        return false;
    }
    for (size_t i = 1; i + 1 < token->n; i++) {
        buf_char(path, token->at[i]);
        i += token->at[i] == '\'';
    }
    return true;
}

bool sqltext_files(const char *sql,
                   bool (*put)(void *arg, const char *path, struct buf *to, struct nx_err *err),
                   void *arg, struct buf *to, struct nx_err *err)
{
    /* Where we are: nothing, behind a reader's name, behind its "(", inside its "([". */
    enum { OUTSIDE, NAMED, OPENED, LISTED } where = OUTSIDE;
    struct buf path;
    const char *p = sql;
    bool ok = true;
    buf_init(&path);
    for (;;) {
        struct sqltext_token token = sqltext_next(&p);
        if (token.kind == SQLTEXT_END || !ok) {
            break;
        }
        bool inside = where == OPENED || where == LISTED;
        if (inside && token.kind == SQLTEXT_TEXT && unquote(&token, &path)) {
            buf_str(to, where == OPENED ? "[" : "");
            ok = put(arg, buf_text(&path), to, err);
            buf_str(to, where == OPENED ? "]" : "");
        } else {
            buf_add(to, token.at, token.n);
        }
        if (token.kind == SQLTEXT_SPACE) {
            continue;
        }
        char c = token.kind == SQLTEXT_OTHER ? *token.at : 0;
        if (is_reader(&token)) {
            where = NAMED;
        } else if (where == NAMED && c == '(') {
            where = OPENED;
        } else if (where == OPENED && c == '[') {
            where = LISTED;
        } else if (where != LISTED || c == ']') {
            where = OUTSIDE;
        }
    }
    buf_fini(&path);
    return ok;
}
