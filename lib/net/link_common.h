/* What both ends of the link share. */
#ifndef LIB_NET_LINK_COMMON_H
#define LIB_NET_LINK_COMMON_H

#include <nng/nng.h>

#include "nexus/error.h"

/* Whether the URL is ipc:// with a path that fits a socket's address, or tcp:// on loopback. */
bool link_check_url(const char *url, struct nx_err *err);
/* "doing: reason", with the code that fits. Returns false. */
bool link_fail(struct nx_err *err, int rv, const char *doing, const char *url);
/* A message with these bytes; they are at most NX_MESSAGE_MAX. */
nng_msg *link_make_message(const void *bytes, size_t n);

#endif
