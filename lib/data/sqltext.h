/* SQL as text: its tokens, its end, and the files that it names. PURE.
 *
 * Not a parser: it knows comments, quoted texts and names, which is what it takes to find a file's
 * name in a call of read_parquet and not in a comment. DuckDB parses the SQL. */
#ifndef LIB_DATA_SQLTEXT_H
#define LIB_DATA_SQLTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/buf.h"
#include "nexus/error.h"

enum sqltext_kind {
    SQLTEXT_END,
    SQLTEXT_SPACE, /* and comments */
    SQLTEXT_TEXT,  /* 'text', $$text$$ */
    SQLTEXT_NAME,  /* "name" */
    SQLTEXT_WORD,  /* letters, digits, _ */
    SQLTEXT_OTHER  /* one byte */
};

struct sqltext_token {
    enum sqltext_kind kind;
    const char *at;
    size_t n;
};

/* The token at *p, which moves behind it. An unended quote or comment reaches to the end. */
struct sqltext_token sqltext_next(const char **p);

/* The length of the SQL without the semicolons, comments and space it ends with. */
size_t sqltext_end(const char *sql);

/* Appends the SQL to `to`, with each text that names a file in a call of read_parquet, read_csv,
 * read_json and their kin (one text, or a list of texts) replaced by a list of what `put` appends
 * for it: quoted texts with commas between. False: what `put` said. Lines keep their numbers. */
bool sqltext_files(const char *sql,
                   bool (*put)(void *arg, const char *path, struct buf *to, struct nx_err *err),
                   void *arg, struct buf *to, struct nx_err *err);

#endif
