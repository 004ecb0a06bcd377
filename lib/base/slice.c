#include "lib/base/slice.h"

#include <linux/sched.h>
#include <linux/sched/types.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SHORT_NS 100000 /* the least that the kernel takes */

/* What the kernel does not take is a wish that stays one. */
static void set(unsigned long long ns, unsigned long long flags)
{
    const struct sched_attr attr = {.size = sizeof attr,
                                    .sched_policy = SCHED_NORMAL,
                                    .sched_flags = flags,
                                    .sched_runtime = ns};
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
    struct sched_attr attr = {.size = sizeof attr};
    return syscall(SYS_sched_getattr, 0, &attr, sizeof attr, 0) == 0 ? attr.sched_runtime : 0;
}
