/* What reading and describing cron expressions share. */
#ifndef LIB_TEXT_CRON_TEXT_H
#define LIB_TEXT_CRON_TEXT_H

#include "lib/text/cron.h"

extern const char *const cron_month_names[13];  /* from 1 */
extern const char *const cron_weekday_names[7]; /* from Sunday */

/* A text of bounded length that grows at its end; what does not fit is cut. */
struct cron_text {
    char *to;
    size_t size, n;
};

void cron_text_add(struct cron_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* "0, 20 and 40", "1-5 and 9", "January-March": the bits of a set; names may be NULL. */
void cron_text_set(struct cron_text *text, uint64_t set, const char *const *names);
/* "every day", "on day 1 and 15 of the month or on Monday". */
void cron_text_days(struct cron_text *text, const struct cron *cron);

#endif
