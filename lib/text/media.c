#include "lib/text/media.h"

#include <string.h>
#include <strings.h>

#include "lib/base/str.h"

#define PLAIN "text/plain; charset=utf-8"

struct ending {
    const char *ending, *type;
};

/* clang-format off */
static const struct ending endings[] = {
    {"txt", PLAIN}, {"log", PLAIN}, {"out", PLAIN}, {"err", PLAIN}, {"ini", PLAIN}, {"cfg", PLAIN},
    {"toml", PLAIN}, {"rst", PLAIN}, {"sql", PLAIN}, {"py", PLAIN}, {"sh", PLAIN}, {"lua", PLAIN},
    {"r", PLAIN}, {"c", PLAIN}, {"h", PLAIN}, {"tex", PLAIN}, {"diff", PLAIN}, {"patch", PLAIN},
    {"js", PLAIN}, {"mjs", PLAIN}, {"cjs", PLAIN}, {"css", PLAIN},
    {"md", "text/markdown; charset=utf-8"}, {"markdown", "text/markdown; charset=utf-8"},
    {"csv", "text/csv; charset=utf-8"}, {"tsv", "text/tab-separated-values; charset=utf-8"},
    {"yaml", "application/yaml"}, {"yml", "application/yaml"},
    {"json", "application/json"}, {"geojson", "application/json"}, {"ipynb", "application/json"},
    {"jsonl", "application/x-ndjson"}, {"ndjson", "application/x-ndjson"},
    {"html", "text/html; charset=utf-8"}, {"htm", "text/html; charset=utf-8"},
    {"xhtml", "application/xhtml+xml"}, {"xml", "application/xml"}, {"svg", "image/svg+xml"},
    {"png", "image/png"}, {"jpg", "image/jpeg"}, {"jpeg", "image/jpeg"}, {"gif", "image/gif"},
    {"webp", "image/webp"}, {"avif", "image/avif"}, {"bmp", "image/bmp"}, {"ico", "image/x-icon"},
    {"tif", "image/tiff"}, {"tiff", "image/tiff"}, {"pdf", "application/pdf"},
    {"mp4", "video/mp4"}, {"webm", "video/webm"}, {"mp3", "audio/mpeg"}, {"wav", "audio/wav"},
    {"ogg", "audio/ogg"}, {"parquet", "application/vnd.apache.parquet"},
    {"gz", "application/gzip"}, {"zip", "application/zip"}, {"tar", "application/x-tar"},
    {"zst", "application/zstd"}, {"bin", "application/octet-stream"},
    {"pkl", "application/octet-stream"}, {"ubj", "application/octet-stream"},
    {"onnx", "application/octet-stream"}, {"npy", "application/octet-stream"},
};
/* clang-format on */

/* How files of a kind begin. */
static const struct {
    const char *bytes;
    size_t n, at;
    const char *type;
} beginnings[] = {
    {"PAR1", 4, 0, "application/vnd.apache.parquet"},
    {"\x89PNG\r\n\x1a\n", 8, 0, "image/png"},
    {"\xff\xd8\xff", 3, 0, "image/jpeg"},
    {"GIF8", 4, 0, "image/gif"},
    {"WEBP", 4, 8, "image/webp"},
    {"%PDF-", 5, 0, "application/pdf"},
    {"PK\x03\x04", 4, 0, "application/zip"},
    {"\x1f\x8b", 2, 0, "application/gzip"},
    {"\x28\xb5\x2f\xfd", 4, 0, "application/zstd"},
};

const char *media_of_name(const char *name)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    const char *dot = strrchr(base, '.');
    for (size_t i = 0; dot && i < sizeof endings / sizeof *endings; i++) {
        if (strcasecmp(dot + 1, endings[i].ending) == 0)
            return endings[i].type;
    }
    return NULL;
}

/* UTF-8 without bytes that no text has; its last character may be cut. */
static bool is_text(const char *head, size_t n)
{
    size_t bad;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)head[i];
        if ((c < 0x20 && !strchr("\t\n\f\r\x1b", c)) || c == 0)
            return false;
    }
    return str_is_utf8(head, n, &bad) || (n >= MEDIA_HEAD && n - bad < 4);
}

const char *media_of_content(const void *head, size_t n)
{
    for (size_t i = 0; i < sizeof beginnings / sizeof *beginnings; i++) {
        size_t end = beginnings[i].at + beginnings[i].n;
        if (n >= end && memcmp((const char *)head + beginnings[i].at, beginnings[i].bytes,
                               beginnings[i].n) == 0)
            return beginnings[i].type;
    }
    return is_text(head, n) ? PLAIN : "application/octet-stream";
}

bool media_is(const char *type, const char *wanted)
{
    size_t n = strlen(wanted);
    return type && strncmp(type, wanted, n) == 0 && (type[n] == 0 || type[n] == ';');
}
