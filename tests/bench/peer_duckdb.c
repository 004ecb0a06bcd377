/* DuckDB called directly: the peer of data.ingest.
 *
 *   peer_duckdb THREADS SQL        prints the seconds that the statements took */
#include "lib/data/data.h"
#include "tests/bench/bench.h"

int main(int argc, char **argv)
{
    struct data_db *db;
    struct nx_err err;
    if (argc != 3) {
        fprintf(stderr, "usage: peer_duckdb THREADS SQL\n");
        return 2;
    }
    struct data_settings settings = {.threads = atoi(argv[1])};
    bool ok = data_open(&settings, &db, &err);
    int64_t start = clock_mono_us();
    if (!ok || !data_exec(db, argv[2], &err)) {
        fprintf(stderr, "peer_duckdb: %s\n", err.text);
        return 1;
    }
    printf("%.3f\n", (double)(clock_mono_us() - start) / 1e6);
    data_close(db);
    return 0;
}
