/* The settings that a scheduler goes by, each with what said so: for GET /api/v1/settings. */
#ifndef SCHEDULER_EFFECTIVE_H
#define SCHEDULER_EFFECTIVE_H

#include "lib/text/settings.h"

/* What the program made of flags, environment and file. A flag of NULL was not given. */
struct effective {
    const struct settings *settings;
    const char *listen_flag, *workers_flag, *home_flag, *dags_flag, *project_flag, *auth_flag;
    const char *home, *dags, *project; /* absolute */
    bool auth;
};

/* JSON: [{"name", "value", "source", "help"}]; source: flag, environment, nexus.yaml or default.
 * Nothing of it is secret. To be freed with mem_free. */
char *effective_json(const struct effective *effective);

#endif
