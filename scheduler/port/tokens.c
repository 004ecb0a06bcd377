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
    char hash[BULK_HASH + 1];
    int64_t expires_ms, seen_ms;
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

void tokens_make(char text[TOKEN_TEXT_MAX], char id[TOKEN_ID_MAX], char hash[BULK_HASH + 1])
{
    char secret[SECRET_CHARS + 1];
    crypt_random_id(id, ID_CHARS);
    crypt_random_id(secret, SECRET_CHARS);
    int n = snprintf(text, TOKEN_TEXT_MAX, "nxw_%s_%s", id, secret);
    must(n > 0 && n < TOKEN_TEXT_MAX);
    sha256_of(text, (size_t)n, hash);
    crypt_wipe(secret, sizeof secret);
}

void tokens_put(struct tokens *tokens, const char *id, const char *hash, int64_t expires_ms)
{
    struct known *known = mem_alloc(sizeof *known);
    must(str_copy(known->hash, sizeof known->hash, hash));
    known->expires_ms = expires_ms;
    pthread_mutex_lock(&tokens->lock);
    mem_free(map_set(&tokens->by_id, id, known));
    pthread_mutex_unlock(&tokens->lock);
}

void tokens_drop(struct tokens *tokens, const char *id)
{
    pthread_mutex_lock(&tokens->lock);
    mem_free(map_remove(&tokens->by_id, id));
    pthread_mutex_unlock(&tokens->lock);
}

/* The id in a token's text; false when it is none. */
static bool id_of(struct wire_bytes text, char id[TOKEN_ID_MAX])
{
    static const char prefix[] = "nxw_";
    id[0] = 0;
    size_t n = sizeof prefix - 1;
    if (text.n != n + ID_CHARS + 1 + SECRET_CHARS || memcmp(text.p, prefix, n) != 0 ||
        text.p[n + ID_CHARS] != '_')
        return false;
    memcpy(id, text.p + n, ID_CHARS);
    id[ID_CHARS] = 0;
    return true;
}

bool tokens_check(struct tokens *tokens, struct wire_bytes text, char id[TOKEN_ID_MAX],
                  struct nx_err *err)
{
    char hash[BULK_HASH + 1];
    int64_t now_ms = clock_wall_ms();
    if (!id_of(text, id))
        return nx_fail(err, NX_E_DENIED,
                       "its token is none; `nexus token create --worker` makes one");
    sha256_of(text.p, text.n, hash);
    pthread_mutex_lock(&tokens->lock);
    struct known *known = map_get(&tokens->by_id, id);
    bool mine = known && crypt_equal(known->hash, hash, BULK_HASH);
    bool expired = mine && known->expires_ms && known->expires_ms <= now_ms;
    if (mine && !expired)
        known->seen_ms = now_ms;
    pthread_mutex_unlock(&tokens->lock);
    if (expired)
        return nx_fail(err, NX_E_DENIED,
                       "its token (%s) has expired; `nexus token create --worker` makes a new one",
                       id);
    return mine || nx_fail(err, NX_E_DENIED,
                           "its token was revoked or is not of this scheduler; `nexus token create "
                           "--worker` makes a new one");
}

int64_t tokens_seen_ms(struct tokens *tokens, const char *id)
{
    pthread_mutex_lock(&tokens->lock);
    const struct known *known = map_get(&tokens->by_id, id);
    int64_t seen_ms = known ? known->seen_ms : 0;
    pthread_mutex_unlock(&tokens->lock);
    return seen_ms;
}
