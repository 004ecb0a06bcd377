/* The schema of nexus.db, step by step. Times are milliseconds since 1970 (UTC). */
#ifndef SCHEDULER_STORE_SCHEMA_H
#define SCHEDULER_STORE_SCHEMA_H

#include <stddef.h>

#include "lib/sql/sql.h"

extern const struct sql_migration store_migrations[];
extern const size_t store_n_migrations;

#endif
