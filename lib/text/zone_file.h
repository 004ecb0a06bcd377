/* The tz database: zones by name, "Europe/Berlin". Reads files; lib/text/zone.h is the pure part.
 */
#ifndef LIB_TEXT_ZONE_FILE_H
#define LIB_TEXT_ZONE_FILE_H

#include "lib/text/zone.h"

/* Where the database is: $NEXUS_ZONEINFO (for tests), else /usr/share/zoneinfo. */
const char *zone_file_folder(void);

/* Reads a zone; free it with zone_free. "UTC" is NULL, and there without a database. Errors:
 * NX_E_NOT_FOUND when there is no such zone (names the nearest one that there is) or no database
 * (says what to install), and those of zone_parse. A name never leads out of the folder. */
bool zone_file_load(const char *folder, const char *name, struct zone **zone, struct nx_err *err);

#endif
