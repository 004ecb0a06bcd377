/* The web page's files as they are sent, embedded by tools/web. */
#ifndef NEXUS_WEB_H
#define NEXUS_WEB_H

#include <stddef.h>

struct nx_web_file {
    const char *name, *type;
    const unsigned char *bytes; /* gzip, but of nx_web_plain */
    size_t n;
};

extern const struct nx_web_file nx_web_files[]; /* ended by one without a name */
extern const struct nx_web_file nx_web_plain;   /* index.html as it is */
extern const char nx_web_hash[];                /* of them all */

#endif
