/* What goes between the scheduler and workers that share no file system with it, beside reports:
 * the envelope of every request, and the requests for artifacts, files and logs. Pure.
 *
 * Every request of such a worker is in an envelope with its token: a connection that was lost and
 * made again needs no introduction, and a token that is revoked ends with the next request.
 *
 *   envelope = magic u32 | n u8 | n bytes of token | request
 *
 * Requests for bulk go over a connection of their own, so that a report never waits for one. Each
 * may be repeated: the receiver of bytes writes them at their offset and answers how far it is.
 * Little-endian, bounded, and decoded from any bytes, like lib/wire/wire.h. */
#ifndef LIB_WIRE_BULK_H
#define LIB_WIRE_BULK_H

#include "lib/base/buf.h"
#include "lib/wire/wire.h"

#define BULK_TOKEN_MAX 128
#define BULK_CHUNK_MAX (192 * 1024) /* bytes of a file in one message */
#define BULK_LOG_CHUNK_MAX (64 * 1024)
#define BULK_PATH_MAX 4096
#define BULK_HASH 64 /* digits of a SHA-256 */

enum bulk_kind {
    BULK_PING = 64, /* nothing: whether somebody is there; answered at once */
    BULK_STAT,      /* hash: is there such an artifact? */
    BULK_GET,       /* hash, path, offset, n: bytes of a file (path "") or of a file in a folder */
    BULK_FILES,     /* number (a DAG version), offset, n: bytes of the list of its `files:` */
    BULK_FILE,      /* number, path, offset, n: bytes of one of them */
    BULK_PUT,       /* hash, size, offset, bytes: of a file with that hash; answers how far it is */
    BULK_KEEP,      /* hash, folder: what was put becomes an artifact; of a folder the manifest has
                       that hash, and its files were put too */
    BULK_LOG,       /* number (a run), path (its task), map, attempt, what, offset, bytes */
    BULK_KINDS
};

/* A request; what its kind does not name is 0. */
struct bulk_request {
    uint8_t kind;
    uint64_t session; /* the worker's incarnation: what it puts stays apart from others */
    uint64_t number;
    int32_t map;
    uint32_t attempt;
    uint8_t what; /* enum path_kind of a log */
    uint8_t folder;
    char hash[BULK_HASH + 1]; /* "" or so many digits */
    uint64_t size, offset;
    uint32_t n; /* bytes wanted, at most BULK_CHUNK_MAX */
    struct wire_bytes path, bytes;
};

struct bulk_reply {
    uint8_t code; /* enum nx_code; NX_OK: done */
    uint8_t folder;
    uint64_t size;   /* of the whole file */
    uint64_t offset; /* how far the receiver is */
    struct wire_bytes bytes;
    struct wire_bytes text; /* of an error */
};

/* Begins a request; what follows in the buffer is the request itself. */
void bulk_envelope(struct buf *buf, const char *token);
/* Splits an envelope. False when it is none. */
bool bulk_open_envelope(const void *p, size_t n, struct wire_bytes *token,
                        struct wire_bytes *request);

/* Whether a request (without its envelope) is one of these and not a report. */
bool bulk_is_request(const void *p, size_t n);
void bulk_encode_request(struct buf *buf, const struct bulk_request *request);
bool bulk_decode_request(const void *p, size_t n, struct bulk_request *request, struct nx_err *err);
void bulk_encode_reply(struct buf *buf, const struct bulk_reply *reply);
bool bulk_decode_reply(const void *p, size_t n, struct bulk_reply *reply, struct nx_err *err);

/* Whether a path stays below the folder that it is joined to: relative, without "." and "..",
 * without a zero. */
bool bulk_path_is_safe(struct wire_bytes path);

/* The next address ("sha256:" and 64 digits) at or after *at in n bytes of JSON or other text; its
 * digits go to hash. False: there is none. */
bool bulk_next_address(const char *p, size_t n, size_t *at, char hash[BULK_HASH + 1]);

#endif
