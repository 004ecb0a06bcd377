/* What answers look like: one table of shapes, from which the OpenAPI document and its reference
 * page are made. tests/conformance/test_openapi compares it with what the server really answers.
 *
 * The members of a shape are written as words:
 *
 *   "<run tasks:[task] note:text? ~map:int"
 *
 *   <run        first the members of the shape `run`
 *   note:text?  a member, which may be null
 *   [x] {x}     a list of x; an object whose members, of any name, are x
 *   x|y         one of both
 *   ~           it may be absent, which no other may
 *
 * A type is another shape, or one of the plain types of the table. */
#ifndef SCHEDULER_PORT_API_SCHEMA_H
#define SCHEDULER_PORT_API_SCHEMA_H

#include "lib/base/buf.h"

/* "key": the JSON schema of a type. */
void put_schema(struct buf *buf, const char *key, const char *type);
/* "schemas": all shapes, for `components`. */
void put_schemas(struct buf *buf);
/* The member of that name in a list such as "state:run_state since:since"; NULL: it is not there.
 * The type is copied. */
const char *schema_of_member(const char *members, const char *name, char *type, size_t size);

#endif
