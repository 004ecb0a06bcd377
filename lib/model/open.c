/* Models from and to folders: the files' part. */
#include <stdio.h>
#include <string.h>

#include "lib/base/path.h"
#include "lib/crypt/crypt.h"
#include "lib/model/card.h"
#include "lib/model/manifest.h"
#include "lib/model/model.h"

static bool read_payload(const char *folder, const struct manifest_payload *payload,
                         struct model *model, struct nx_err *err)
{
    char path[PATH_MAX_BYTES], sha256[SHA256_HEX];
    struct buf bytes;
    if (!path_join(path, sizeof path, folder, payload->file))
        return nx_fail(err, NX_E_LIMIT, "%s: the path is too long", folder);
    buf_init(&bytes);
    bool ok = path_read(path, MODEL_FILE_MAX, &bytes, err);
    if (ok) {
        sha256_of(buf_text(&bytes), bytes.len, sha256);
        if (strcmp(sha256, payload->sha256) != 0)
            ok = nx_fail(err, NX_E_DATA,
                         "model_payload_mismatch: %s has the sha256 %.16s..., the manifest says "
                         "%.16s...: the file was changed or cut",
                         payload->file, sha256, payload->sha256);
    }
    if (ok && model->family == MODEL_TREES)
        ok = trees_read(buf_text(&bytes), bytes.len, &model->arena, &model->trees, err);
    else if (ok)
        ok = manifest_read_linear(buf_text(&bytes), bytes.len, &model->arena, &model->linear, err);
    buf_fini(&bytes);
    return ok;
}

/* Whether payload and manifest speak of the same thing. */
static bool sizes_agree(const struct model *model, struct nx_err *err)
{
    size_t features, outputs, needed = model->task == MODEL_MULTICLASS ? model->n_classes : 1;
    if (model->family == MODEL_TREES) {
        features = model->trees.n_features;
        outputs = model->trees.n_groups;
    } else {
        features = model->linear.n_features;
        outputs = model->linear.n_outputs;
    }
    if (features != model->n_features || outputs != needed)
        return nx_fail(err, NX_E_DATA,
                       "the payload has %zu features and %zu outputs, the manifest %zu and %zu",
                       features, outputs, model->n_features, needed);
    return true;
}

bool model_open(const char *folder, struct model **model, struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    struct buf text;
    struct manifest_payload payload;
    if (!path_join(path, sizeof path, folder, "nexus.json"))
        return nx_fail(err, NX_E_LIMIT, "%s: the path is too long", folder);
    struct model *m = model_new();
    buf_init(&text);
    bool ok = path_read(path, MODEL_FILE_MAX, &text, err) &&
              manifest_read(buf_text(&text), text.len, m, &payload, err) &&
              read_payload(folder, &payload, m, err) && sizes_agree(m, err) &&
              model_golden_replay(m, err);
    buf_fini(&text);
    if (!ok) {
        model_free(m);
        return nx_wrap(err, "model %s", folder);
    }
    *model = m;
    return true;
}

static bool write_file(const char *folder, const char *name, const struct buf *text,
                       struct nx_err *err)
{
    char path[PATH_MAX_BYTES];
    if (!path_join(path, sizeof path, folder, name))
        return nx_fail(err, NX_E_LIMIT, "%s: the path is too long", folder);
    return path_write(path, buf_text(text), text->len, err);
}

/* What accompanies a model for people and for other programs. */
static bool write_papers(const struct model *model, const char *folder, struct nx_err *err)
{
    static const struct {
        const char *name;
        void (*write)(const struct model *model, struct buf *text);
    } papers[] = {{"MLmodel", card_mlmodel},
                  {"requirements.txt", card_requirements},
                  {"python_env.yaml", card_python_env},
                  {"input_example.json", card_example},
                  {"card.md", card_text}};
    for (size_t i = 0; i < sizeof papers / sizeof papers[0]; i++) {
        struct buf text;
        buf_init(&text);
        papers[i].write(model, &text);
        bool ok = write_file(folder, papers[i].name, &text, err);
        buf_fini(&text);
        if (!ok)
            return false;
    }
    return true;
}

bool model_write(const struct model *model, const char *folder, struct nx_err *err)
{
    struct manifest_payload payload = {0};
    struct buf bytes, text;
    buf_init(&bytes);
    buf_init(&text);
    bool trees = model->family == MODEL_TREES;
    snprintf(payload.file, sizeof payload.file, "%s", trees ? "trees.bin" : "linear.json");
    if (trees)
        trees_write(&model->trees, &bytes);
    else
        manifest_write_linear(&model->linear, &bytes);
    sha256_of(buf_text(&bytes), bytes.len, payload.sha256);
    bool ok = sizes_agree(model, err) && manifest_write(model, &payload, &text, err) &&
              write_file(folder, payload.file, &bytes, err) &&
              write_file(folder, "nexus.json", &text, err) && write_papers(model, folder, err);
    buf_fini(&text);
    buf_fini(&bytes);
    return ok;
}
