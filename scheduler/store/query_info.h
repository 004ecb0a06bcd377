/* The cache of DAG versions as the API sees them: immutable, shared by threads, held by use; the
 * least recently used ones go when it holds too many bytes. */
#ifndef SCHEDULER_STORE_QUERY_INFO_H
#define SCHEDULER_STORE_QUERY_INFO_H

#include "scheduler/store/query.h"

struct info_cache;

struct info_cache *info_cache_new(void);
void info_cache_free(struct info_cache *cache); /* nothing may be held any more */

/* A held version, or NULL. */
const struct dag_info *info_cache_find(struct info_cache *cache, uint64_t id);
/* What the row says becomes a version, is kept and held; `info` is the JSON that spec_json made. */
const struct dag_info *info_cache_add(struct info_cache *cache, uint64_t id, int64_t number,
                                      const char *dag, const char *file, const char *info,
                                      int64_t created_ms, struct nx_err *err);
void info_release(struct info_cache *cache, const struct dag_info *info);

#endif
