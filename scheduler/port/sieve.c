#include "scheduler/port/sieve.h"

#include <string.h>

#include "lib/base/mem.h"

void sieve_init(struct sieve *sieve, const char *text)
{
    *sieve = (struct sieve){.text = mem_strdup(text)};
}

void sieve_fini(struct sieve *sieve)
{
    mem_free(sieve->text);
    buf_fini(&sieve->line);
    buf_fini(&sieve->out);
}

static void end_line(struct sieve *sieve)
{
    if (memmem(sieve->line.data, sieve->line.len, sieve->text, strlen(sieve->text)))
        buf_add(&sieve->out, sieve->line.data, sieve->line.len);
    buf_clear(&sieve->line);
}

void sieve_add(struct sieve *sieve, const char *p, size_t n)
{
    while (n > 0) {
        size_t room = SIEVE_LINE_MAX - sieve->line.len, k = n < room ? n : room;
        const char *end = memchr(p, '\n', k);
        if (end)
            k = (size_t)(end - p) + 1;
        buf_add(&sieve->line, p, k);
        if (end || k == room)
            end_line(sieve);
        p += k;
        n -= k;
    }
}

void sieve_end(struct sieve *sieve)
{
    if (sieve->line.len)
        end_line(sieve);
}

size_t sieve_take(struct sieve *sieve, char *to, size_t max)
{
    size_t n = sieve->out.len - sieve->n_taken;
    if (n > max)
        n = max;
    if (n)
        memcpy(to, sieve->out.data + sieve->n_taken, n);
    sieve->n_taken += n;
    if (sieve->n_taken == sieve->out.len) {
        buf_clear(&sieve->out);
        sieve->n_taken = 0;
    }
    return n;
}
