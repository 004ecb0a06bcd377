#include "lib/text/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/vec.h"
#include "lib/text/json.h"
#include "nexus/limits.h"

void problems_init(struct problems *problems)
{
    *problems = (struct problems){0};
    arena_init(&problems->arena);
}

void problems_fini(struct problems *problems)
{
    mem_free(problems->at);
    arena_fini(&problems->arena);
    *problems = (struct problems){0};
}

static const char *format_text(struct arena *arena, const char *format, va_list args)
{
    struct buf buf;
    buf_init(&buf);
    buf_vprintf(&buf, format, args);
    const char *text = arena_strndup(arena, buf_text(&buf), buf.len);
    buf_fini(&buf);
    return text;
}

struct problem *problem_add(struct problems *problems, enum problem_severity severity,
                            const char *file, int line, int column, const char *format, ...)
{
    if (severity == PROBLEM_ERROR)
        problems->n_errors++;
    if (problems->n >= NX_DAG_ERRORS_MAX) {
        problems->n_dropped++;
        return NULL;
    }
    va_list args;
    va_start(args, format);
    struct problem problem = {arena_strdup(&problems->arena, file),        line, column, severity,
                              format_text(&problems->arena, format, args), NULL};
    va_end(args);
    vec_push(problems, problem);
    return &problems->at[problems->n - 1];
}

void problem_hint(struct problems *problems, struct problem *problem, const char *format, ...)
{
    if (!problem)
        return;
    va_list args;
    va_start(args, format);
    problem->hint = format_text(&problems->arena, format, args);
    va_end(args);
}

static bool comes_after(const struct problem *a, const struct problem *b)
{
    if (strcmp(a->file, b->file) != 0)
        return false; /* files stay in the order in which they were read */
    return a->line > b->line || (a->line == b->line && a->column > b->column);
}

void problems_sort(struct problems *problems)
{
    /* Insertion: stable, and there are NX_DAG_ERRORS_MAX at most. */
    for (size_t i = 1; i < problems->n; i++) {
        struct problem moving = problems->at[i];
        size_t to = i;
        while (to > 0 && comes_after(&problems->at[to - 1], &moving)) {
            problems->at[to] = problems->at[to - 1];
            to--;
        }
        problems->at[to] = moving;
    }
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool is_same(const struct problem *a, const struct problem *b)
{
    return a->line == b->line && a->column == b->column && a->severity == b->severity &&
           same_text(a->file, b->file) && same_text(a->message, b->message) &&
           same_text(a->hint, b->hint);
}

void problems_fold(struct problems *problems)
{
    size_t kept = 0;
    for (size_t i = 0; i < problems->n; i++) {
        if (kept > 0 && is_same(&problems->at[kept - 1], &problems->at[i]))
            problems->n_errors -= problems->at[i].severity == PROBLEM_ERROR;
        else
            problems->at[kept++] = problems->at[i];
    }
    problems->n = kept;
}

void problem_text(const struct problem *problem, struct buf *to)
{
    buf_printf(to, "%s:", problem->file);
    if (problem->line > 0)
        buf_printf(to, "%d:%d:", problem->line, problem->column);
    buf_printf(to, " %s: %s", problem->severity == PROBLEM_ERROR ? "error" : "warning",
               problem->message);
    if (problem->hint)
        buf_printf(to, " (%s)", problem->hint);
}

json_t *problem_json(const struct problem *problem)
{
    json_t *object = json_object();
    json_object_set_new(object, "file", js_string(problem->file));
    json_object_set_new(object, "line", problem->line ? json_integer(problem->line) : json_null());
    json_object_set_new(object, "column",
                        problem->line ? json_integer(problem->column) : json_null());
    json_object_set_new(object, "severity",
                        js_string(problem->severity == PROBLEM_ERROR ? "error" : "warning"));
    json_object_set_new(object, "message", js_string(problem->message));
    json_object_set_new(object, "hint", js_string(problem->hint));
    return object;
}

json_t *problems_json(const struct problems *problems)
{
    json_t *list = json_array();
    for (size_t i = 0; i < problems->n; i++)
        json_array_append_new(list, problem_json(&problems->at[i]));
    return list;
}
