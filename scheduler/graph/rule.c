#include "scheduler/graph/rule.h"

#include "lib/base/must.h"

enum rule_verdict rule_decide(enum nx_trigger_rule rule, const struct rule_counts *c)
{
    uint32_t final = c->success + c->failed + c->skipped;
    bool all = final == c->n;
    must(final <= c->n);
    if (c->n == 0)
        return RULE_RUN;
    switch (rule) {
    case NX_TR_ALL_SUCCESS:
        if (c->failed)
            return RULE_UPSTREAM_FAILED;
        if (c->skipped)
            return RULE_SKIP;
        return all ? RULE_RUN : RULE_WAIT;
    case NX_TR_ALL_FAILED:
        if (c->success || c->skipped)
            return RULE_SKIP;
        return all ? RULE_RUN : RULE_WAIT;
    case NX_TR_ALL_DONE:
        return all ? RULE_RUN : RULE_WAIT;
    case NX_TR_ALL_DONE_MIN_ONE_SUCCESS:
        if (c->skipped)
            return RULE_SKIP;
        if (!all)
            return RULE_WAIT;
        return c->success ? RULE_RUN : RULE_UPSTREAM_FAILED;
    case NX_TR_ALL_SKIPPED:
        if (c->success || c->failed)
            return RULE_SKIP;
        return all ? RULE_RUN : RULE_WAIT;
    case NX_TR_ONE_FAILED:
        if (c->failed)
            return RULE_RUN;
        return all ? RULE_SKIP : RULE_WAIT;
    case NX_TR_ONE_SUCCESS:
        if (c->success)
            return RULE_RUN;
        if (!all)
            return RULE_WAIT;
        return c->skipped == c->n ? RULE_SKIP : RULE_UPSTREAM_FAILED;
    case NX_TR_ONE_DONE:
        if (c->success || c->self_failed)
            return RULE_RUN;
        return all ? RULE_SKIP : RULE_WAIT;
    case NX_TR_NONE_FAILED:
        if (c->failed)
            return RULE_UPSTREAM_FAILED;
        return all ? RULE_RUN : RULE_WAIT;
    case NX_TR_NONE_FAILED_MIN_ONE_SUCCESS:
        if (c->failed)
            return RULE_UPSTREAM_FAILED;
        if (!all)
            return RULE_WAIT;
        return c->success ? RULE_RUN : RULE_SKIP;
    case NX_TR_NONE_SKIPPED:
        if (c->skipped)
            return RULE_SKIP;
        return all ? RULE_RUN : RULE_WAIT;
    case NX_TR_ALWAYS:
        return RULE_RUN;
    case NX_TRIGGER_RULES:
        break;
    }
    must(false);
    return RULE_WAIT;
}
