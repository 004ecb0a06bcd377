#include "scheduler/dag/lua_places.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/map.h"
#include "lib/base/mem.h"

struct lua_places {
    struct arena *arena;
    const struct yaml_text *source;
    struct map tables; /* offset of { -> struct map: key -> struct lua_place */
};

struct lua_places *lua_places_new(struct arena *arena, const struct yaml_text *source)
{
    struct lua_places *places = arena_alloc(arena, sizeof *places);
    places->arena = arena;
    places->source = source;
    map_init(&places->tables);
    return places;
}

void lua_places_free(struct lua_places *places)
{
    for (size_t i = 0; i < places->tables.n; i++)
        map_fini(places->tables.at[i].value);
    map_fini(&places->tables);
}

/* ---- Tokens ---- */

enum kind { END, NAME, STRING, SYMBOL };

struct word {
    enum kind kind;
    char symbol; /* of a SYMBOL: one character; two that begin with it and = are 0 */
    size_t at, n;
};

/* Bytes of the long bracket's opening at s ("[==["), or 0. */
static size_t long_bracket(const char *s)
{
    size_t level = *s == '[' ? strspn(s + 1, "=") : 0;
    return *s == '[' && s[1 + level] == '[' ? level + 2 : 0;
}

/* The byte after a long bracket's end. */
static size_t skip_long(const struct yaml_text *source, size_t at, size_t opening)
{
    size_t i = at + opening;
    while (i < source->n) {
        const char *close = memchr(source->text + i, ']', source->n - i);
        if (!close)
            break;
        if (strspn(close + 1, "=") == opening - 2 && close[opening - 1] == ']')
            return (size_t)(close - source->text) + opening;
        i = (size_t)(close - source->text) + 1;
    }
    return source->n;
}

static size_t skip_blanks(const struct yaml_text *source, size_t i)
{
    const char *s = source->text;
    for (;;) {
        i += strspn(s + i, " \t\r\n\v\f");
        if (i + 1 >= source->n || s[i] != '-' || s[i + 1] != '-')
            return i;
        size_t opening = long_bracket(s + i + 2);
        i = opening ? skip_long(source, i + 2, opening) : i + strcspn(s + i, "\r\n");
    }
}

static size_t quoted_length(const char *s)
{
    size_t i = 1;
    while (s[i] && s[i] != *s && s[i] != '\n')
        i += s[i] == '\\' && s[i + 1] ? 2 : 1;
    return i + (s[i] == *s);
}

static struct word next_word(const struct yaml_text *source, size_t i)
{
    i = skip_blanks(source, i);
    const char *s = source->text + i;
    struct word word = {.kind = SYMBOL, .at = i, .n = 1, .symbol = *s};
    size_t opening = long_bracket(s);
    if (i >= source->n) {
        word = (struct word){.kind = END, .at = source->n};
    } else if (isalnum((unsigned char)*s) || *s == '_') {
        word.kind = NAME;
        while (isalnum((unsigned char)s[word.n]) || s[word.n] == '_')
            word.n++;
    } else if (*s == '"' || *s == '\'') {
        word.kind = STRING;
        word.n = quoted_length(s);
    } else if (opening) {
        word.kind = STRING;
        word.n = skip_long(source, i, opening) - i;
    } else if (strchr("=~<>", *s) && s[1] == '=') {
        word.symbol = 0;
        word.n = 2;
    }
    return word;
}

static struct word after(const struct yaml_text *source, const struct word *word)
{
    return next_word(source, word->at + word->n);
}

/* ---- One table ---- */

/* The key that begins with this word, when it does: `name` or `["name"]`, followed by =. *end is
 * the = then. */
static const char *read_key(const struct lua_places *places, struct word word, struct word *end)
{
    const char *text = places->source->text;
    bool bracket = word.symbol == '[' && word.kind == SYMBOL;
    struct word name = bracket ? after(places->source, &word) : word;
    *end = after(places->source, &name);
    if (bracket) {
        if (name.kind != STRING || text[name.at] == '[' || name.n < 2 || end->symbol != ']')
            return NULL;
        *end = after(places->source, end);
        name.at++;
        name.n -= 2;
    } else if (name.kind != NAME) {
        return NULL;
    }
    return end->symbol == '=' ? arena_strndup(places->arena, text + name.at, name.n) : NULL;
}

/* One member, whose first word this is. */
static void read_member(struct lua_places *places, struct word word, size_t *n_items,
                        struct map *table)
{
    char item[32];
    struct word end, value = word;
    struct lua_place *place = arena_alloc(places->arena, sizeof *place);
    const char *key = read_key(places, word, &end);
    if (key) {
        value = after(places->source, &end);
    } else {
        snprintf(item, sizeof item, "[%zu]", ++*n_items);
        key = item;
    }
    place->key = word.at;
    place->value = value.at;
    place->brace = value.kind == SYMBOL && value.symbol == '{' ? value.at : 0;
    map_set(table, key, place);
}

static struct map *read_table(struct lua_places *places, size_t brace)
{
    struct map *table = arena_alloc(places->arena, sizeof *table);
    struct word word = next_word(places->source, brace + 1);
    size_t n_items = 0, depth = 0;
    bool begins = true; /* a member does here */
    map_init(table);
    for (; word.kind != END; word = after(places->source, &word)) {
        char c = word.kind == SYMBOL ? word.symbol : 'a';
        if (c == '}' && depth == 0)
            break;
        if (begins)
            read_member(places, word, &n_items, table);
        begins = depth == 0 && (c == ',' || c == ';');
        if (c == '{' || c == '(' || c == '[')
            depth++;
        else if ((c == '}' || c == ')' || c == ']') && depth > 0)
            depth--;
    }
    return table;
}

const struct lua_place *lua_places_find(struct lua_places *places, size_t brace, const char *key)
{
    if (!brace)
        return NULL;
    struct map *table = map_get_num(&places->tables, brace);
    if (!table) {
        table = read_table(places, brace);
        map_set_num(&places->tables, brace, table);
    }
    return map_get(table, key);
}

/* ---- The call ---- */

/* The { that begins the last argument of a call of `dag` (the first) or `task` (the second). */
static size_t argument(const struct lua_places *places, struct word open, bool second)
{
    size_t depth = 0;
    if (open.symbol == '{' && !second)
        return open.at;
    if (open.symbol != '(')
        return 0;
    struct word word = after(places->source, &open);
    for (; second && word.kind != END; word = after(places->source, &word)) {
        char c = word.kind == SYMBOL ? word.symbol : 'a';
        if (c == ',' && depth == 0) {
            word = after(places->source, &word);
            break;
        }
        if (c == '{' || c == '(' || c == '[')
            depth++;
        else if ((c == '}' || c == ')' || c == ']') && depth-- == 0)
            return 0;
    }
    return word.kind == SYMBOL && word.symbol == '{' ? word.at : 0;
}

size_t lua_places_call(struct lua_places *places, int line, const char *word)
{
    const struct yaml_text *source = places->source;
    size_t end = source_line(source, line + 1), found = 0, n = strlen(word);
    int n_calls = 0;
    struct word at = next_word(source, source_line(source, line));
    for (; at.kind != END && at.at < end; at = after(source, &at)) {
        if (at.kind != NAME || at.n != n || memcmp(source->text + at.at, word, n) != 0)
            continue;
        struct word open = after(source, &at);
        if (open.kind == SYMBOL && (open.symbol == '(' || open.symbol == '{')) {
            found = argument(places, open, strcmp(word, "task") == 0);
            n_calls++;
        }
    }
    return n_calls == 1 ? found : 0;
}
