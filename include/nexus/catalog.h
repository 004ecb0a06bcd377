/* The descriptors of all operators as JSON, made at build time by `nexus-task --catalog` and
 * embedded in the programs that check parameters without linking an operator. */
#ifndef NEXUS_CATALOG_H
#define NEXUS_CATALOG_H

extern const char nx_catalog_json[];

#endif
