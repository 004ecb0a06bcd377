/* The stream between worker and nexus-task: any bytes are frames or an error, a frame decodes or is
 * refused, and what decodes encodes to a frame that decodes to the same. */
#include <string.h>

#include "lib/base/must.h"
#include "lib/wire/child.h"
#include "tests/fuzz/fuzz.h"

static void again(const struct child_message *message)
{
    struct buf once, twice;
    struct child_message same;
    struct nx_err err = {0};
    struct child_text texts[CHILD_MASKS_MAX];
    struct child_message copy = *message;
    if (copy.type == CHILD_MASKS) {
        struct child_masks masks = message->u.masks;
        uint32_t n = 0;
        while (n < CHILD_MASKS_MAX && child_masks_next(&masks, &texts[n]))
            n++;
        copy.u.masks.n = n;
        copy.u.masks.texts = texts;
    }
    buf_init(&once);
    buf_init(&twice);
    must(child_encode(&once, &copy, &err));
    must(child_decode(once.data, once.len, &same, &err));
    must(same.type == message->type && same.ticket == message->ticket);
    if (same.type != CHILD_MASKS) {
        must(child_encode(&twice, &same, &err));
        must(once.len == twice.len && memcmp(once.data, twice.data, once.len) == 0);
    }
    buf_fini(&twice);
    buf_fini(&once);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct child_message message;
    struct nx_err err = {0};
    size_t at = 0, n;
    while (child_frame(data + at, size - at, &n, &err) && n > 0) {
        must(n <= size - at);
        if (child_decode(data + at, n, &message, &err))
            again(&message);
        at += n;
    }
    return 0;
}
