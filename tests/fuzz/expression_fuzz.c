/* Expressions: any text is refused or evaluated within its bounds, leaves nothing behind, and what
 * the check finds in it stands in the text. */
#include <string.h>

#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/script/script.h"
#include "tests/fuzz/fuzz.h"

static struct script *with_roots(void)
{
    struct script *script = script_new();
    json_t *params =
        json_pack("{s:i, s:s, s:[i, i], s:n}", "days", 60, "name", "a b", "list", 1, 2, "none");
    json_t *run = json_pack("{s:{s:s, s:s}}", "interval", "start", "2001-01-01T00:00:00.000Z",
                            "finish", "2001-01-02T00:00:00.000Z");
    json_t *outputs = json_pack("{s:{s:f}}", "train", "roc_auc", 0.75);
    script_set(script, "params", params);
    script_set(script, "run", run);
    script_set(script, "outputs", outputs);
    json_decref(params);
    json_decref(run);
    json_decref(outputs);
    return script;
}

static void check(struct script *script, const char *text, size_t n)
{
    struct arena arena;
    struct script_names names;
    struct nx_err err = {0};
    size_t offset = 0;
    arena_init(&arena);
    if (script_check(script, &arena, text, n, &names, &offset, &err)) {
        for (size_t i = 0; i < names.n; i++) {
            must(names.at[i].offset < n);
            must((names.roots & names.at[i].root) != 0);
            must(script_root_name(names.at[i].root) != NULL);
        }
    } else {
        must(offset <= n);
    }
    arena_fini(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* One sandbox for all: an evaluation must leave nothing behind that breaks the next. */
    static struct script *script;
    struct nx_err err = {0};
    json_t *value = NULL;
    bool truth;
    char *text;
    size_t n;
    if (size > 2048)
        return 0;
    if (!script)
        script = with_roots();
    char *expression = mem_strndup((const char *)data, size);
    check(script, expression, strlen(expression));
    if (script_eval(script, expression, SCRIPT_TIMES_TYPED, &value, &err))
        json_decref(value);
    if (script_eval_text(script, expression, &text, &n, &err))
        mem_free(text);
    (void)script_eval_truth(script, expression, &truth, &err);
    must(script_eval(script, "params.days + 1", SCRIPT_TIMES_TEXT, &value, &err));
    must(json_integer_value(value) == 61);
    json_decref(value);
    mem_free(expression);
    return 0;
}
