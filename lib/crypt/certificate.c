#include "lib/crypt/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <mbedtls/ecp.h>
#include <mbedtls/pk.h>
#include <mbedtls/x509_crt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/must.h"
#include "lib/base/path.h"
#include "lib/base/str.h"
#include "lib/crypt/crypt.h"

#define SUBJECT "CN=" CERTIFICATE_NAME
/* It is pinned: an end would protect from nothing. A worker's clock may be wrong by years. */
#define NOT_BEFORE "20200101000000"
#define NOT_AFTER "20991231235959"
#define BEGIN_CERTIFICATE "-----BEGIN CERTIFICATE-----"

static int random_bytes(void *arg, unsigned char *to, size_t n)
{
    (void)arg;
    crypt_random(to, n);
    return 0;
}

static int sign(mbedtls_pk_context *key, char *text, size_t size)
{
    mbedtls_x509write_cert made;
    mbedtls_mpi serial;
    mbedtls_x509write_crt_init(&made);
    mbedtls_mpi_init(&serial);
    mbedtls_x509write_crt_set_version(&made, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&made, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&made, key);
    mbedtls_x509write_crt_set_issuer_key(&made, key);
    int rv = mbedtls_mpi_fill_random(&serial, 15, random_bytes, NULL);
    if (rv == 0)
        rv = mbedtls_x509write_crt_set_serial(&made, &serial);
    if (rv == 0)
        rv = mbedtls_x509write_crt_set_subject_name(&made, SUBJECT);
    if (rv == 0)
        rv = mbedtls_x509write_crt_set_issuer_name(&made, SUBJECT);
    if (rv == 0)
        rv = mbedtls_x509write_crt_set_validity(&made, NOT_BEFORE, NOT_AFTER);
    if (rv == 0) /* it vouches for nobody else */
        rv = mbedtls_x509write_crt_set_basic_constraints(&made, 0, -1);
    if (rv == 0)
        rv = mbedtls_x509write_crt_pem(&made, (unsigned char *)text, size, random_bytes, NULL);
    mbedtls_mpi_free(&serial);
    mbedtls_x509write_crt_free(&made);
    return rv;
}

/* A key on P-256 and a certificate signed with it. */
static bool generate(struct certificate *certificate, struct nx_err *err)
{
    mbedtls_pk_context key;
    mbedtls_pk_init(&key);
    int rv = mbedtls_pk_setup(&key, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY));
    if (rv == 0)
        rv = mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(key), random_bytes, NULL);
    if (rv == 0)
        rv = mbedtls_pk_write_key_pem(&key, (unsigned char *)certificate->key,
                                      sizeof certificate->key);
    if (rv == 0)
        rv = sign(&key, certificate->text, sizeof certificate->text);
    mbedtls_pk_free(&key);
    return rv == 0 || nx_fail(err, NX_E_INTERNAL, "Mbed TLS says %d", rv);
}

/* Made beside it and then linked: whoever is first wins, and nobody sees half of it. */
static bool make(const char *path, struct certificate *certificate, struct nx_err *err)
{
    char temp[PATH_MAX_BYTES + 16], id[9];
    struct buf text = {0};
    if (!generate(certificate, err))
        return false;
    crypt_random_id(id, 8);
    snprintf(temp, sizeof temp, "%s.%s.tmp", path, id);
    buf_str(&text, certificate->key);
    buf_str(&text, certificate->text);
    int fd = open(temp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && write(fd, text.data, text.len) == (ssize_t)text.len && fsync(fd) == 0;
    int why = errno;
    if (fd >= 0)
        close(fd);
    if (ok && link(temp, path) != 0 && errno != EEXIST) {
        ok = false;
        why = errno;
    }
    unlink(temp);
    crypt_wipe(text.data, text.len);
    buf_fini(&text);
    return ok || nx_fail(err, NX_E_IO, "%s", strerror(why));
}

static bool check(const struct certificate *certificate)
{
    mbedtls_pk_context key;
    mbedtls_x509_crt crt;
    mbedtls_pk_init(&key);
    mbedtls_x509_crt_init(&crt);
    bool ok = mbedtls_pk_parse_key(&key, (const unsigned char *)certificate->key,
                                   strlen(certificate->key) + 1, NULL, 0) == 0 &&
              mbedtls_x509_crt_parse(&crt, (const unsigned char *)certificate->text,
                                     strlen(certificate->text) + 1) == 0 &&
              mbedtls_pk_check_pair(&crt.pk, &key) == 0;
    mbedtls_x509_crt_free(&crt);
    mbedtls_pk_free(&key);
    return ok;
}

static bool read_both(const char *path, struct certificate *certificate, struct nx_err *err)
{
    struct stat st;
    struct buf text = {0};
    if (stat(path, &st) == 0 && (st.st_mode & 077))
        return nx_fail(err, NX_E_DENIED, "others may read this key; chmod 600 it");
    bool ok = path_read(path, 2 * CERTIFICATE_TEXT_MAX, &text, err);
    const char *begin = ok ? strstr(buf_text(&text), BEGIN_CERTIFICATE) : NULL;
    if (ok) {
        size_t n = begin ? (size_t)(begin - buf_text(&text)) : 0;
        ok = begin && n < sizeof certificate->key &&
             str_copy(certificate->text, sizeof certificate->text, begin);
        if (ok) {
            memcpy(certificate->key, text.data, n);
            certificate->key[n] = 0;
        }
        ok = (ok && check(certificate)) ||
             nx_fail(err, NX_E_DATA,
                     "it does not have a key and the certificate of that key, in this order");
    }
    crypt_wipe(text.data, text.len);
    buf_fini(&text);
    return ok;
}

bool certificate_open(const char *path, struct certificate *certificate, struct nx_err *err)
{
    must(strlen(path) < PATH_MAX_BYTES);
    if (!path_exists(path) && !make(path, certificate, err))
        return nx_wrap(err, "cannot make the certificate %s", path);
    return read_both(path, certificate, err) || nx_wrap(err, "%s", path);
}

void certificate_wipe(struct certificate *certificate)
{
    crypt_wipe(certificate, sizeof *certificate);
}
