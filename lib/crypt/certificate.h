/* The certificate with which the scheduler proves to workers elsewhere that it is itself, and its
 * key: self-signed, made once, in one file of mode 0600. Workers trust this very certificate and
 * no other. By Mbed TLS, which is what NNG speaks TLS with. */
#ifndef LIB_CRYPT_CERTIFICATE_H
#define LIB_CRYPT_CERTIFICATE_H

#include <stdbool.h>

#include "nexus/error.h"

#define CERTIFICATE_TEXT_MAX 2048
/* The subject's common name. Clients ask for it: where a scheduler is reached may change. */
#define CERTIFICATE_NAME "nexus-scheduler"

struct certificate {
    char text[CERTIFICATE_TEXT_MAX]; /* PEM */
    char key[CERTIFICATE_TEXT_MAX];  /* PEM; secret */
};

/* Reads the file, or makes it (safe when two do so at once). A file that others may read is
 * NX_E_DENIED; one without certificate and key NX_E_DATA. */
bool certificate_open(const char *path, struct certificate *certificate, struct nx_err *err);
void certificate_wipe(struct certificate *certificate);

#endif
