/* The task of the benchmark `fibo`: peer_fibo N, as naive as it gets. */
#include <stdio.h>
#include <stdlib.h>

static unsigned long fibo(unsigned long n)
{
    unsigned long (*volatile again)(unsigned long) = fibo; /* calls that no compiler removes */
    return n < 2 ? n : again(n - 1) + again(n - 2);
}

int main(int argc, char **argv)
{
    printf("%lu\n", fibo(argc > 1 ? strtoul(argv[1], NULL, 10) : 10));
    return 0;
}
