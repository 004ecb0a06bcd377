/* The manifest of a model, nexus.json: a model to JSON and back. Memory only. */
#ifndef LIB_MODEL_MANIFEST_H
#define LIB_MODEL_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include <jansson.h>

#include "lib/base/buf.h"
#include "lib/model/model.h"
#include "nexus/error.h"

/* What the manifest says of the payload. */
struct manifest_payload {
    char file[64];
    char sha256[65];
};

/* Text of nexus.json: doubles with 17 digits. Fails when two slots would be mistaken for each
 * other by name. */
bool manifest_write(const struct model *model, const struct manifest_payload *payload,
                    struct buf *text, struct nx_err *err);
/* Fills a model from model_new, all but the payload. */
bool manifest_read(const char *text, size_t n, struct model *model,
                   struct manifest_payload *payload, struct nx_err *err);

/* The payload of a linear model. */
void manifest_write_linear(const struct linear *linear, struct buf *text);
bool manifest_read_linear(const char *text, size_t n, struct arena *arena, struct linear *linear,
                          struct nx_err *err);

/* Indented text, doubles with 17 digits; takes the reference. */
void manifest_text(json_t *value, struct buf *text);
/* A value of an input as JSON: null when missing. */
json_t *manifest_value(const struct column *column, size_t row);

#endif
