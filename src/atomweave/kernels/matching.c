/* `chemistry/unmatched.py`: which atoms are left without a partner for a multiple bond.

   An atom that lacks k bonds is k nodes; nodes of bonded atoms are joined. A maximum matching grows atom by atom: a new
   node can only be matched along one augmenting path, found by Edmonds' search with contracted blossoms (J. Edmonds,
   Canad. J. Math. 17, 449 (1965)). Where the search from a free node fails, the nodes that it reaches by paths of even
   length are those that some other maximum matching leaves free. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t n_atoms;         /* width of the arrays */
    const int64_t *molecule; /* (n_rows,) whose bonds a row has */
    const int8_t *lacks;     /* (n_rows, n_atoms) bonds that each atom lacks; 0 of atoms that are not there */
    const uint8_t *bonded;   /* (n_molecules, n_atoms, n_atoms) */
    uint8_t *wanting;        /* (n_rows, n_atoms) */
    int64_t *n_free;         /* (n_rows,) */
} matching_task;

typedef struct {
    int n;
    int32_t *atom, *match, *parent, *base, *queue, *degree, *adjacent; /* adjacent: (capacity, capacity) */
    uint8_t *outer, *blossom, *seen;
    int capacity;
} graph;

static int common_base(graph *g, int a, int b) {
    memset(g->seen, 0, g->n);
    for (;;) {
        a = g->base[a];
        g->seen[a] = 1;
        if (g->match[a] < 0) break;
        a = g->parent[g->match[a]];
    }
    for (;;) {
        b = g->base[b];
        if (g->seen[b]) return b;
        b = g->parent[g->match[b]];
    }
}

static void mark_path(graph *g, int v, int base, int child) {
    while (g->base[v] != base) {
        g->blossom[g->base[v]] = g->blossom[g->base[g->match[v]]] = 1;
        g->parent[v] = child;
        child = g->match[v];
        v = g->parent[g->match[v]];
    }
}

/* Return the free node at the end of an augmenting path from `root`, or -1; `outer` is what was reached evenly. */
static int search(graph *g, int root) {
    int head = 0, tail = 0;
    memset(g->outer, 0, g->n);
    for (int i = 0; i < g->n; i++) g->parent[i] = -1, g->base[i] = i;
    g->outer[root] = 1;
    g->queue[tail++] = root;
    while (head < tail) {
        const int v = g->queue[head++];
        const int32_t *others = g->adjacent + (int64_t)v * g->capacity;
        for (int k = 0; k < g->degree[v]; k++) {
            const int to = others[k];
            if (g->base[v] == g->base[to] || g->match[v] == to) continue;
            if (to == root || (g->match[to] >= 0 && g->parent[g->match[to]] >= 0)) {
                const int base = common_base(g, v, to);
                memset(g->blossom, 0, g->n);
                mark_path(g, v, base, to);
                mark_path(g, to, base, v);
                for (int i = 0; i < g->n; i++)
                    if (g->blossom[g->base[i]]) {
                        g->base[i] = base;
                        if (!g->outer[i]) g->outer[i] = 1, g->queue[tail++] = i;
                    }
            } else if (g->parent[to] < 0) {
                g->parent[to] = v;
                if (g->match[to] < 0) return to;
                g->outer[g->match[to]] = 1;
                g->queue[tail++] = g->match[to];
            }
        }
    }
    return -1;
}

static void augment(graph *g, int v) {
    while (v >= 0) {
        const int before = g->parent[v], next = g->match[before];
        g->match[v] = before;
        g->match[before] = v;
        v = next;
    }
}

static void add_atom(graph *g, int atom, int lacks, const uint8_t *bonded) {
    for (int copy = 0; copy < lacks; copy++) {
        const int v = g->n++;
        g->atom[v] = atom;
        g->match[v] = -1;
        g->degree[v] = 0;
        for (int other = 0; other < v; other++)
            if (g->atom[other] != atom && bonded[g->atom[other]]) {
                g->adjacent[(int64_t)v * g->capacity + g->degree[v]++] = other;
                g->adjacent[(int64_t)other * g->capacity + g->degree[other]++] = v;
            }
        const int end = search(g, v);
        if (end >= 0) augment(g, end);
    }
}

int find_unmatched(const matching_task *task, int64_t first, int64_t last) {
    const int64_t width = task->n_atoms;
    for (int64_t row = first; row < last; row++) {
        const int8_t *lacks = task->lacks + row * width;
        const uint8_t *bonded = task->bonded + task->molecule[row] * width * width;
        uint8_t *wanting = task->wanting + row * width;
        int64_t capacity = 0, n_free = 0;
        for (int64_t a = 0; a < width; a++) capacity += lacks[a];
        int32_t *numbers = calloc(capacity * (6 + capacity) + 1, sizeof(int32_t));
        uint8_t *flags = calloc(3 * capacity + 1, 1);
        if (numbers == NULL || flags == NULL) {
            free(numbers);
            free(flags);
            return 1;
        }
        graph g = {
            .n = 0, .capacity = capacity, .atom = numbers, .match = numbers + capacity, .parent = numbers + 2 * capacity,
            .base = numbers + 3 * capacity, .queue = numbers + 4 * capacity, .degree = numbers + 5 * capacity,
            .adjacent = numbers + 6 * capacity, .outer = flags, .blossom = flags + capacity, .seen = flags + 2 * capacity,
        };
        for (int64_t a = 0; a < width; a++)
            if (lacks[a]) add_atom(&g, a, lacks[a], bonded + a * width);
        for (int v = 0; v < g.n; v++) {
            if (g.match[v] >= 0) continue;
            n_free++;
            search(&g, v);
            for (int i = 0; i < g.n; i++)
                if (g.outer[i]) wanting[g.atom[i]] = 1;
        }
        task->n_free[row] = n_free;
        free(numbers);
        free(flags);
    }
    return 0;
}
