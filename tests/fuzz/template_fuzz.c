/* Texts with ${{ }}: pieces stand where they say; SQL has as many parameters as expressions; a
 * script keeps all of its text but the expressions. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/script/template.h"
#include "tests/fuzz/fuzz.h"

static void pieces(struct arena *arena, const char *text)
{
    struct template parsed;
    struct nx_err err = {0};
    size_t offset = 0, n = strlen(text);
    if (!template_parse(arena, text, &parsed, &offset, &err)) {
        must(offset <= n);
        return;
    }
    size_t n_expressions = 0;
    for (size_t i = 0; i < parsed.n; i++) {
        const struct template_piece *piece = &parsed.at[i];
        must(piece->offset + piece->n <= n);
        must(memcmp(text + piece->offset, piece->text, piece->n) == 0);
        n_expressions += piece->is_expression;
    }
    must(n_expressions == parsed.n_expressions);
    must(n_expressions == 0 || template_has_expression(text));
}

static void bound(struct arena *arena, const char *text)
{
    static const char *const shells[] = {NULL, "bash", "python3", "perl"};
    struct template_bound result;
    struct nx_err err = {0};
    size_t offset = 0;
    if (template_sql(arena, text, &result, &offset, &err))
        for (size_t i = 0; i < result.n; i++)
            must(result.expressions[i] != NULL);
    for (size_t i = 0; i < sizeof shells / sizeof *shells; i++) {
        if (template_run(arena, text, shells[i], &result, &offset, &err))
            must(!template_has_expression(text) || result.n > 0 || strstr(text, "#") ||
                 strstr(result.text, "${{"));
        else
            must(offset <= strlen(text));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena arena;
    if (size > 4096)
        return 0;
    char *text = mem_strndup((const char *)data, size);
    arena_init(&arena);
    pieces(&arena, text);
    bound(&arena, text);
    arena_fini(&arena);
    mem_free(text);
    return 0;
}
