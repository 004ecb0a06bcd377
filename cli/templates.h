/* What `nexus init` writes: whole small projects. The same files stand in dags/, where tests run
 * them. */
#ifndef CLI_TEMPLATES_H
#define CLI_TEMPLATES_H

#include <stdbool.h>
#include <stddef.h>

struct template_file {
    const char *path; /* NULL: the end */
    const char *text;
    bool executable;
};

struct template
{
    const char *name, *summary;
    const char *next; /* the command that runs it */
    const struct template_file *files;
};

extern const struct template templates[];
extern const size_t n_templates;

/* In every project. */
extern const struct template_file template_common[];

#endif
