/* Names of types; by itself, so that what only needs these stays pure. */
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/data/table.h"

static const char *const type_names[TABLE_TYPES] = {
    "bool", "int64", "double", "string", "category", "date", "timestamp", "doubles",
};

const char *table_type_name(enum table_type type)
{
    must(type < TABLE_TYPES);
    return type_names[type];
}

bool table_type_find(const char *name, enum table_type *type)
{
    for (int i = 0; i < TABLE_TYPES; i++) {
        if (str_eq(name, type_names[i])) {
            *type = (enum table_type)i;
            return true;
        }
    }
    return false;
}
