/* Texts as values; see parse.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/base/time.h"
#include "lib/data/parse.h"

#define MICROS 1000000ll
#define DOUBLE_WHOLE (1ll << 53)        /* integers up to here are doubles */
#define INT64_END 9223372036854775808.0 /* 2^63 */
#define NUMBER_MAX PARSE_NUMBER_MAX
#define EXPONENT_MAX 100000

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void trim(const char **text, size_t *n)
{
    while (*n > 0 && (**text == ' ' || **text == '\t')) {
        ++*text;
        --*n;
    }
    while (*n > 0 && ((*text)[*n - 1] == ' ' || (*text)[*n - 1] == '\t')) {
        --*n;
    }
}

bool parse_int(const char *text, size_t n, int64_t *v)
{
    trim(&text, &n);
    bool negative = n > 0 && *text == '-';
    size_t i = n > 0 && (*text == '-' || *text == '+');
    if (i == n || n - i > 19 || (text[i] == '0' && n - i > 1)) {
        return false;
    }
    uint64_t value = 0; /* 19 digits always fit */
    for (; i < n; i++) {
        unsigned digit = (unsigned)(text[i] - '0');
        if (digit > 9) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (value > (uint64_t)INT64_MAX + negative) {
        return false;
    }
    *v = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

bool parse_bool(const char *text, size_t n, bool *v)
{
    trim(&text, &n);
    bool yes = n == 4 && strncasecmp(text, "true", 4) == 0;
    if (!yes && !(n == 5 && strncasecmp(text, "false", 5) == 0)) {
        return false;
    }
    *v = yes;
    return true;
}

/* Whether a text of digits alone is a double to the last of them: 1000000000000000000000 is, the
 * number of an account with 20 digits hardly ever. */
static bool is_exact(const char *digits, size_t n)
{
    char back[320];
    double v = 0;
    if (n >= sizeof back)
        return false;
    for (size_t i = 0; i < n; i++)
        v = v * 10 + (digits[i] - '0');
    return snprintf(back, sizeof back, "%.0f", v) == (int)n && memcmp(digits, back, n) == 0;
}

/* 3, -2, +007 */
static int64_t read_exponent(const char *text, size_t n)
{
    int64_t v = 0;
    for (size_t i = *text == '-' || *text == '+'; i < n && v < EXPONENT_MAX; i++) {
        v = v * 10 + (text[i] - '0');
    }
    return *text == '-' ? -v : v;
}

bool parse_is_double(const char *text, size_t n)
{
    int64_t ignored;
    trim(&text, &n);
    size_t i = n > 0 && (*text == '-' || *text == '+'), whole, fraction = 0;
    if ((n - i == 3 &&
         (strncasecmp(text + i, "nan", 3) == 0 || strncasecmp(text + i, "inf", 3) == 0)) ||
        (n - i == 8 && strncasecmp(text + i, "infinity", 8) == 0)) {
        return true;
    }
    size_t start = i;
    while (i < n && is_digit(text[i])) {
        i++;
    }
    whole = i - start;
    if (i < n && text[i] == '.') {
        for (i++; i < n && is_digit(text[i]); i++) {
            fraction++;
        }
    }
    if (whole + fraction == 0 || (whole > 1 && text[start] == '0')) {
        return false;
    }
    if (i == n && i - start == whole && whole > 18 && !parse_int(text, n, &ignored)) {
        return is_exact(text + start, whole);
    }
    if (i < n && (text[i] == 'e' || text[i] == 'E')) {
        i++;
        i += i < n && (text[i] == '-' || text[i] == '+');
        size_t exponent = i;
        while (i < n && is_digit(text[i])) {
            i++;
        }
        return i == n && i > exponent;
    }
    return i == n;
}

/* Whether a text that looks like a double is above the largest: its first digits and its power of
 * ten against 1.7976931348623157e308. */
static bool is_too_large(const char *text, size_t n)
{
    static const char largest[] = "17976931348623157";
    char digits[sizeof largest] = "00000000000000000";
    int64_t power = 0, exponent = 0;
    size_t i = *text == '-' || *text == '+', n_digits = 0;
    for (bool point = false; i < n && (is_digit(text[i]) || text[i] == '.'); i++) {
        bool digit = text[i] != '.' && (n_digits > 0 || text[i] != '0');
        if (digit && n_digits + 1 < sizeof digits) {
            digits[n_digits] = text[i];
        }
        n_digits += digit;
        point = point || text[i] == '.';
        power += (digit && !point) - (text[i] != '.' && point && n_digits == 0);
    }
    if (i + 1 < n && (text[i] == 'e' || text[i] == 'E')) {
        exponent = read_exponent(text + i + 1, n - i - 1);
    }
    power += exponent;
    return n_digits > 0 && (power > 309 || (power == 309 && strcmp(digits, largest) > 0));
}

/* Whether there is none, or one of two digits or below 0, in a number of a common length. */
static bool has_small_exponent(const char *text, size_t n)
{
    size_t i = n;
    while (i > 0 && is_digit(text[i - 1])) {
        i--;
    }
    return n < 200 && (n - i < 3 || i == 0 || text[i - 1] == '.' || text[i - 1] == '-');
}

bool parse_fits_double(const char *text, size_t n)
{
    int64_t whole;
    trim(&text, &n);
    if (n >= NUMBER_MAX || !parse_is_double(text, n)) {
        return false;
    }
    if (!parse_int(text, n, &whole)) {
        return has_small_exponent(text, n) || !is_too_large(text, n);
    }
    double v = (double)whole;
    return v < INT64_END && (int64_t)v == whole; /* 2^53 + 1 is none */
}

bool parse_whole(const char *text, size_t n, int64_t *v)
{
    char digits[NUMBER_MAX];
    size_t n_digits = 1; /* behind the sign */
    int64_t scale = 0, exponent = 0;
    trim(&text, &n);
    if (n >= sizeof digits || !parse_is_double(text, n)) {
        return false;
    }
    size_t i = *text == '-' || *text == '+';
    digits[0] = *text == '-' ? '-' : '+';
    for (bool point = false; i < n && (is_digit(text[i]) || text[i] == '.'); i++) {
        if (text[i] == '.') {
            point = true;
        } else if (text[i] != '0' || n_digits > 1) {
            digits[n_digits++] = text[i];
        }
        scale -= point && text[i] != '.';
    }
    if (i < n && (text[i] != 'e' && text[i] != 'E')) {
        return false; /* nan, inf */
    }
    if (i + 1 < n) {
        exponent = read_exponent(text + i + 1, n - i - 1);
    }
    for (scale += exponent; scale < 0 && n_digits > 1 && digits[n_digits - 1] == '0'; scale++) {
        n_digits--;
    }
    if (n_digits == 1) {
        *v = 0;
        return true;
    }
    if (scale < 0 || scale > 19) {
        return false;
    }
    for (; scale > 0 && n_digits + 1 < sizeof digits; scale--) {
        digits[n_digits++] = '0';
    }
    return scale == 0 && parse_int(digits, n_digits, v);
}

bool parse_yes(const char *text, size_t n, bool *v)
{
    static const char *const words[] = {"false", "true", "0", "1", "no", "yes", "f", "t", "n", "y"};
    trim(&text, &n);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i]) == n && strncasecmp(words[i], text, n) == 0) {
            *v = i % 2 == 1;
            return true;
        }
    }
    return false;
}

/* A place in a text that is read from left to right. */
struct cursor {
    const char *at, *end;
};

/* least..most digits. */
static bool take_digits(struct cursor *c, int least, int most, unsigned *v)
{
    unsigned value = 0;
    int n = 0;
    for (; n < most && c->at < c->end && is_digit(*c->at); n++) {
        value = value * 10 + (unsigned)(*c->at++ - '0');
    }
    *v = value;
    return n >= least;
}

static bool take_char(struct cursor *c, char wanted)
{
    if (c->at < c->end && *c->at == wanted) {
        c->at++;
        return true;
    }
    return false;
}

static bool take_date(struct cursor *c, int64_t *days)
{
    static const unsigned char lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned year, month, day;
    if (!take_digits(c, 4, 4, &year) || !take_char(c, '-') || !take_digits(c, 1, 2, &month) ||
        !take_char(c, '-') || !take_digits(c, 1, 2, &day)) {
        return false;
    }
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (year < 1 || month < 1 || month > 12 || day < 1 ||
        day > lengths[month - 1] + (month == 2 && leap ? 1u : 0u)) {
        return false;
    }
    *days = time_days_from_civil(year, month, day);
    return true;
}

bool parse_date(const char *text, size_t n, int64_t *days)
{
    int64_t found;
    struct cursor c = {text, text + n};
    if (!take_date(&c, &found) || c.at != c.end) {
        return false;
    }
    *days = found;
    return true;
}

/* Digits behind the point: microseconds, the rest is dropped. */
static bool take_fraction(struct cursor *c, int64_t *micros)
{
    int64_t unit = MICROS;
    if (c->at == c->end || !is_digit(*c->at)) {
        return false;
    }
    for (*micros = 0; c->at < c->end && is_digit(*c->at); c->at++) {
        unit /= 10;
        *micros += (*c->at - '0') * unit;
    }
    return true;
}

static bool take_time(struct cursor *c, int64_t *micros)
{
    unsigned hour, minute, second = 0;
    int64_t fraction = 0;
    if (!take_digits(c, 1, 2, &hour) || !take_char(c, ':') || !take_digits(c, 2, 2, &minute)) {
        return false;
    }
    if (take_char(c, ':') &&
        (!take_digits(c, 2, 2, &second) || (take_char(c, '.') && !take_fraction(c, &fraction)))) {
        return false;
    }
    if (hour > 23 || minute > 59 || second > 59) {
        return false;
    }
    *micros = ((int64_t)hour * 3600 + minute * 60 + second) * MICROS + fraction;
    return true;
}

/* Nothing, Z, +HH, +HHMM or +HH:MM. */
static bool take_offset(struct cursor *c, int64_t *micros)
{
    unsigned hours, minutes = 0;
    *micros = 0;
    if (c->at == c->end || (take_char(c, 'Z') && c->at == c->end)) {
        return true;
    }
    take_char(c, ' ');
    bool west = take_char(c, '-');
    if ((!west && !take_char(c, '+')) || !take_digits(c, 2, 2, &hours)) {
        return false;
    }
    if (c->at < c->end) {
        take_char(c, ':');
        if (!take_digits(c, 2, 2, &minutes)) {
            return false;
        }
    }
    if (c->at != c->end || hours > 15 || minutes > 59) {
        return false;
    }
    *micros = ((int64_t)hours * 3600 + minutes * 60) * MICROS * (west ? -1 : 1);
    return true;
}

bool parse_day(const char *text, size_t n, int64_t *days)
{
    int64_t found, time = 0;
    struct cursor c = {text, text + n};
    if (!take_date(&c, &found)) {
        return false;
    }
    bool timed = c.at < c.end;
    if (timed && ((!take_char(&c, 'T') && !take_char(&c, ' ')) || !take_time(&c, &time))) {
        return false;
    }
    if (time != 0 || c.at != c.end) {
        return false;
    }
    *days = found;
    return true;
}

bool parse_timestamp(const char *text, size_t n, int64_t *micros)
{
    int64_t days, time = 0, offset = 0;
    struct cursor c = {text, text + n};
    if (!take_date(&c, &days)) {
        return false;
    }
    if (c.at < c.end && ((!take_char(&c, 'T') && !take_char(&c, ' ')) || !take_time(&c, &time) ||
                         !take_offset(&c, &offset))) {
        return false;
    }
    *micros = days * 86400 * MICROS + time - offset;
    return true;
}

unsigned parse_kinds(const char *text, size_t n)
{
    int64_t v;
    bool b;
    unsigned kinds = 0;
    if (parse_is_double(text, n)) {
        kinds |= parse_int(text, n, &v) ? PARSE_INT : 0;
        kinds |= parse_fits_double(text, n) ? PARSE_DOUBLE : 0;
    } else if (parse_timestamp(text, n, &v)) {
        kinds |= PARSE_TIMESTAMP | (parse_date(text, n, &v) ? PARSE_DATE : 0);
    } else if (parse_bool(text, n, &b)) {
        kinds |= PARSE_BOOL;
    }
    return kinds;
}
