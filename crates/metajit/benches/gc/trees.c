/* Binary trees on the heap of Boehm's collector: `trees DEPTH` prints how many nodes were counted. */
#include <gc.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Pair { struct Pair *head, *tail; } Pair;

static Pair *build(long depth) {
    Pair *pair = GC_MALLOC(sizeof(Pair));
    if (depth > 0) {
        pair->head = build(depth - 1);
        pair->tail = build(depth - 1);
    }
    return pair;
}

static long count(Pair *pair) {
    return pair->head ? 1 + count(pair->head) + count(pair->tail) : 1;
}

static long many(long number, long depth) {
    long total = 0;
    while (number-- > 0) total += count(build(depth));
    return total;
}

int main(int argc, char **argv) {
    GC_INIT();
    long depth = atol(argv[argc - 1]);
    Pair *lasting = build(depth);
    long total = many(1L << (depth - 2), 4) + many(1L << (depth - 8), 10) + many(4, depth);
    printf("%ld\n", total + count(lasting));
    return 0;
}
