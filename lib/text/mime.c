#include "lib/text/mime.h"

#include <stdio.h>
#include <string.h>

#include "lib/base/must.h"
#include "lib/base/str.h"
#include "lib/base/time.h"

#define ADDRESS_MAX 254  /* RFC 5321 */
#define ENCODED_MAX 45   /* bytes in one encoded word, whose length is at most 75 */
#define QUOTED_LINE 72   /* of quoted-printable: below 76 with an escape and "=" */
#define SUBJECT_MAX 500  /* bytes of a subject */
#define PLAIN_SUBJECT 60 /* a longer one is folded by encoding it */

bool mime_is_address(const char *text)
{
    const char *at = strrchr(text, '@');
    size_t n = strlen(text);
    if (!at || at == text || !at[1] || n > ADDRESS_MAX || strchr(text, '@') != at)
        return false;
    for (const char *p = text; *p; p++) {
        if (*p <= ' ' || *p >= 127 || strchr("<>()[]\\,;:\"", *p))
            return false;
    }
    return at[1] != '.' && at[-1] != '.' && text[0] != '-';
}

void mime_base64(const void *p, size_t n, struct buf *to)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *at = p;
    for (size_t i = 0; i < n; i += 3) {
        size_t left = n - i;
        uint32_t v = (uint32_t)at[i] << 16 | (uint32_t)(left > 1 ? at[i + 1] : 0) << 8 |
                     (uint32_t)(left > 2 ? at[i + 2] : 0);
        buf_char(to, digits[v >> 18]);
        buf_char(to, digits[v >> 12 & 63]);
        buf_char(to, left > 1 ? digits[v >> 6 & 63] : '=');
        buf_char(to, left > 2 ? digits[v & 63] : '=');
    }
}

/* ---- Headers ---- */

/* So many bytes at most, no character cut. */
static size_t whole_characters(const char *s, size_t n, size_t most)
{
    if (n <= most)
        return n;
    while (most > 0 && ((unsigned char)s[most] & 0xC0) == 0x80)
        most--;
    return most;
}

/* Several encoded words of base64, on lines of their own. */
static void add_encoded(const char *s, size_t n, struct buf *to)
{
    for (size_t i = 0; i < n;) {
        size_t piece = whole_characters(s + i, n - i, ENCODED_MAX);
        piece = piece ? piece : n - i; /* not UTF-8 */
        buf_str(to, i ? "\r\n =?utf-8?B?" : "=?utf-8?B?");
        mime_base64(s + i, piece, to);
        buf_str(to, "?=");
        i += piece;
    }
}

static void add_subject(const char *subject, struct buf *to)
{
    struct buf line;
    bool plain = true;
    buf_init(&line);
    for (const char *p = subject; *p; p++)
        buf_char(&line, (unsigned char)*p < 32 || *p == 127 ? ' ' : *p);
    size_t n = whole_characters(buf_text(&line), line.len, SUBJECT_MAX);
    for (size_t i = 0; i < n; i++)
        plain = plain && (unsigned char)line.data[i] < 127;
    plain = plain && n <= PLAIN_SUBJECT && !strstr(buf_text(&line), "=?");
    buf_str(to, "Subject: ");
    if (plain && n)
        buf_add(to, line.data, n);
    else
        add_encoded(buf_text(&line), n, to);
    buf_str(to, "\r\n");
    buf_fini(&line);
}

static void add_date(int64_t wall_ms, struct buf *to)
{
    static const char days[][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
    static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    char text[TIME_TEXT_MAX]; /* 2026-01-31T03:04:05.678Z */
    int year, month, day;
    time_format(text, wall_ms);
    must(sscanf(text, "%d-%d-%d", &year, &month, &day) == 3 && month >= 1 && month <= 12);
    int64_t number = wall_ms / 86400000;
    buf_printf(to, "Date: %s, %02d %s %04d %.8s +0000\r\n", days[number % 7], day,
               months[month - 1], year, text + 11);
}

/* ---- The body: quoted-printable ---- */

static void add_quoted(const char *s, struct buf *to)
{
    size_t column = 0;
    for (; *s; s++) {
        unsigned char c = (unsigned char)*s;
        if (c == '\n' || (c == '\r' && s[1] == '\n')) {
            s += c == '\r';
            buf_str(to, "\r\n");
            column = 0;
            continue;
        }
        bool ends = s[1] == '\n' || s[1] == '\r' || s[1] == 0;
        bool plain = (c > 32 && c < 127 && c != '=') || ((c == ' ' || c == '\t') && !ends);
        plain = plain && !(column == 0 && (c == '.' || c == 'F')); /* ends a mail; "From " */
        if (column >= QUOTED_LINE) {
            buf_str(to, "=\r\n");
            column = 0;
            plain = plain && c != '.';
        }
        if (plain)
            buf_char(to, (char)c);
        else
            buf_printf(to, "=%02X", c);
        column += plain ? 1 : 3;
    }
    if (column)
        buf_str(to, "\r\n");
}

void mime_write(const struct mime_mail *mail, struct buf *to)
{
    must(mime_is_address(mail->from) && mail->to[0]);
    buf_printf(to, "From: <%s>\r\nTo: ", mail->from);
    for (size_t i = 0; mail->to[i]; i++) {
        must(mime_is_address(mail->to[i]));
        buf_printf(to, "%s<%s>", i ? ",\r\n " : "", mail->to[i]);
    }
    buf_str(to, "\r\n");
    add_subject(mail->subject, to);
    add_date(mail->wall_ms, to);
    buf_printf(to, "Message-ID: <%s>\r\n", mail->message_id);
    for (const char *const *h = mail->headers; h && *h; h++)
        buf_printf(to, "%s\r\n", *h);
    buf_str(to, "MIME-Version: 1.0\r\n"
                "Content-Type: text/plain; charset=utf-8\r\n"
                "Content-Transfer-Encoding: quoted-printable\r\n\r\n");
    add_quoted(mail->body, to);
}
