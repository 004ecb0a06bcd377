#include "scheduler/port/tokens.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/map.h"
#include "lib/base/mem.h"
#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"

#define ID_CHARS 8
#define SECRET_CHARS 40 /* 206 bits: a plain hash is enough */

struct known {
    struct token_owner owner;
    char hash[BULK_HASH + 1];
    int64_t seen_ms;
};

struct tokens {
    pthread_mutex_t lock;
    struct map by_id; /* -> struct known */
};

struct tokens *tokens_new(void)
{
    struct tokens *tokens = mem_alloc(sizeof *tokens);
    pthread_mutex_init(&tokens->lock, NULL);
    map_init(&tokens->by_id);
    return tokens;
}

void tokens_free(struct tokens *tokens)
{
    if (!tokens)
        return;
    for (size_t i = 0; i < tokens->by_id.n; i++)
        mem_free(tokens->by_id.at[i].value);
    map_fini(&tokens->by_id);
    pthread_mutex_destroy(&tokens->lock);
    mem_free(tokens);
}

/* Prefixes have one length. */
static const char *prefix_of(enum role role)
{
    return role == ROLE_WORKER ? "nxw_" : "nxt_";
}

void tokens_make(enum role role, char text[TOKEN_TEXT_MAX], char id[TOKEN_ID_MAX],
                 char hash[BULK_HASH + 1])
{
    char secret[SECRET_CHARS + 1];
    crypt_random_id(id, ID_CHARS);
    crypt_random_id(secret, SECRET_CHARS);
    int n = snprintf(text, TOKEN_TEXT_MAX, "%s%s_%s", prefix_of(role), id, secret);
    must(n > 0 && n < TOKEN_TEXT_MAX);
    sha256_of(text, (size_t)n, hash);
    crypt_wipe(secret, sizeof secret);
}

void tokens_put(struct tokens *tokens, const struct token_owner *owner, const char *hash)
{
    struct known *known = mem_alloc(sizeof *known);
    must(str_copy(known->hash, sizeof known->hash, hash));
    known->owner = *owner;
    pthread_mutex_lock(&tokens->lock);
    mem_free(map_set(&tokens->by_id, owner->id, known));
    pthread_mutex_unlock(&tokens->lock);
}

void tokens_drop(struct tokens *tokens, const char *id)
{
    pthread_mutex_lock(&tokens->lock);
    mem_free(map_remove(&tokens->by_id, id));
    pthread_mutex_unlock(&tokens->lock);
}

/* The id in a token's text; false when it is none. */
static bool id_of(const char *prefix, struct wire_bytes text, char id[TOKEN_ID_MAX])
{
    size_t n = strlen(prefix);
    id[0] = 0;
    if (text.n != n + ID_CHARS + 1 + SECRET_CHARS || memcmp(text.p, prefix, n) != 0 ||
        text.p[n + ID_CHARS] != '_')
        return false;
    memcpy(id, text.p + n, ID_CHARS);
    id[ID_CHARS] = 0;
    return true;
}

enum standing { STANDS, EXPIRED, UNKNOWN };

/* hash: NULL: it has been shown before. */
static enum standing look(struct tokens *tokens, const char *id, const char *hash, bool worker,
                          struct token_owner *owner)
{
    int64_t now_ms = clock_wall_ms();
    pthread_mutex_lock(&tokens->lock);
    struct known *known = map_get(&tokens->by_id, id);
    bool mine = known && (known->owner.role == ROLE_WORKER) == worker &&
                (!hash || crypt_equal(known->hash, hash, BULK_HASH));
    bool expired = mine && known->owner.expires_ms && known->owner.expires_ms <= now_ms;
    if (mine && !expired)
        known->seen_ms = now_ms;
    if (mine && owner)
        *owner = known->owner;
    pthread_mutex_unlock(&tokens->lock);
    return !mine ? UNKNOWN : expired ? EXPIRED : STANDS;
}

bool tokens_check(struct tokens *tokens, struct wire_bytes text, char id[TOKEN_ID_MAX],
                  struct nx_err *err)
{
    char hash[BULK_HASH + 1];
    if (!id_of(prefix_of(ROLE_WORKER), text, id))
        return nx_fail(err, NX_E_DENIED,
                       "its token is none; `nexus token create --worker` makes one");
    sha256_of(text.p, text.n, hash);
    switch (look(tokens, id, hash, true, NULL)) {
    case STANDS:
        return true;
    case EXPIRED:
        return nx_fail(err, NX_E_DENIED,
                       "its token (%s) has expired; `nexus token create --worker` makes a new one",
                       id);
    case UNKNOWN:
        break;
    }
    return nx_fail(err, NX_E_DENIED,
                   "its token was revoked or is not of this scheduler; `nexus token create "
                   "--worker` makes a new one");
}

/* Of the API; hash as in look. */
static bool welcome(struct tokens *tokens, const char *id, const char *hash,
                    struct token_owner *owner, struct nx_err *err)
{
    switch (look(tokens, id, hash, false, owner)) {
    case STANDS:
        return true;
    case EXPIRED:
        return nx_fail(err, NX_E_UNAUTHENTICATED, "the token %s has expired", id);
    case UNKNOWN:
        break;
    }
    return nx_fail(err, NX_E_UNAUTHENTICATED, "the token was revoked or is not of this scheduler");
}

bool tokens_find(struct tokens *tokens, const char *id, struct token_owner *owner,
                 struct nx_err *err)
{
    return welcome(tokens, id, NULL, owner, err);
}

bool tokens_owner(struct tokens *tokens, const char *text, struct token_owner *owner,
                  struct nx_err *err)
{
    char hash[BULK_HASH + 1], id[TOKEN_ID_MAX];
    const struct wire_bytes bytes = wire_text(text, strlen(text));
    if (id_of(prefix_of(ROLE_WORKER), bytes, id))
        return nx_fail(err, NX_E_UNAUTHENTICATED, "this token is one of workers, not of the API");
    if (!id_of(prefix_of(ROLE_ADMIN), bytes, id))
        return nx_fail(err, NX_E_UNAUTHENTICATED, "what was sent is no token");
    sha256_of(bytes.p, bytes.n, hash);
    return welcome(tokens, id, hash, owner, err);
}

int64_t tokens_seen_ms(struct tokens *tokens, const char *id)
{
    pthread_mutex_lock(&tokens->lock);
    const struct known *known = map_get(&tokens->by_id, id);
    int64_t seen_ms = known ? known->seen_ms : 0;
    pthread_mutex_unlock(&tokens->lock);
    return seen_ms;
}
