#include "lib/base/slice.h"

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHORT_NS 100000 /* the least that the kernel takes */

static bool get(struct sched_attr *attr)
{
    *attr = (struct sched_attr){.size = sizeof *attr};
    return syscall(SYS_sched_getattr, 0, attr, sizeof *attr, 0) == 0;
}

/* What else was set, such as nice, stays; another policy than the usual ones has no slices. What
 * the kernel does not take is a wish that stays one. */
static void set(uint64_t ns, uint64_t flags)
{
    struct sched_attr attr;
    if (!get(&attr) || (attr.sched_policy != SCHED_NORMAL && attr.sched_policy != SCHED_BATCH))
        return;
    attr.sched_runtime = ns;
    attr.sched_flags |= flags;
    (void)syscall(SYS_sched_setattr, 0, &attr, 0);
}

void slice_short(void)
{
    set(SHORT_NS, 0);
}

void slice_usual(void)
{
    set(0, 0);
}

void slice_short_alone(void)
{
    set(SHORT_NS, SCHED_FLAG_RESET_ON_FORK);
}

uint64_t slice_ns(void)
{
    struct sched_attr attr;
    return get(&attr) ? attr.sched_runtime : 0;
}
