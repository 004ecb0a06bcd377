/* What a model's folder holds for people and for other programs: MLmodel, requirements, an example,
 * a card. Each appends a whole file; the same model gives the same bytes. */
#ifndef LIB_MODEL_CARD_H
#define LIB_MODEL_CARD_H

#include "lib/base/buf.h"
#include "lib/model/model.h"

/* MLflow's description: flavors nexus and, for boosted trees, xgboost; the signature. */
void card_mlmodel(const struct model *model, struct buf *text);
void card_requirements(const struct model *model, struct buf *text);
void card_python_env(const struct model *model, struct buf *text);
/* The first golden row as {"columns": [...], "data": [[...]]}. */
void card_example(const struct model *model, struct buf *text);
void card_text(const struct model *model, struct buf *text);

#endif
