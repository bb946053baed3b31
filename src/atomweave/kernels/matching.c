/* `chemistry/unmatched.py`: which atoms are left without a partner for a multiple bond.

   An atom that lacks k bonds is k nodes; nodes of bonded atoms are joined. A maximum matching grows atom by atom: a new
   node can only be matched along one augmenting path, found by Edmonds' search with contracted blossoms (J. Edmonds,
   Canad. J. Math. 17, 449 (1965)). Where the search from a free node fails, the nodes that it reaches by paths of even
   length are those that some other maximum matching leaves free. One atom more, beside one or two, is added a node at a
   time, so that every number of bonds that it could lack costs one search. What is free for good is what stays free
   when every node of an atom that awaits neighbours may have a partner of its own: a path may also end there. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    int64_t n_atoms;         /* width of the arrays */
    const int64_t *molecule; /* (n_rows,) whose bonds a row has */
    const int8_t *lacks;     /* (n_rows, n_atoms) bonds that each atom lacks; 0 of atoms that are not there */
    const uint8_t *bonded;   /* (n_molecules, n_atoms, n_atoms) */
    const uint8_t *beside;   /* (n_rows, n_atoms) the atoms whose neighbour the next one is */
    const uint8_t *awaiting; /* (n_rows, n_atoms) whether an atom awaits neighbours, the next one placed */
    int64_t n_lacks;         /* numbers of bonds that the next atom may lack: 0 to n_lacks - 1 */
    uint8_t *wanting;        /* (n_rows, n_atoms) */
    int64_t *n_free;         /* (n_rows, n_lacks) with the next atom lacking so many */
    int64_t *n_short;        /* (n_rows, n_lacks) atoms that these bonds are of */
    int64_t *n_stuck;        /* (n_rows, n_lacks, 2) free for good, the next atom awaiting no neighbours or some */
} matching_task;

enum { FREE = -1, PROMISED = -2 }; /* for a match: no partner, or one that is yet to be placed */

typedef struct {
    int n;
    int32_t *atom, *match, *kept, *parent, *base, *queue, *degree, *adjacent; /* adjacent: (capacity, capacity) */
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

/* Look for a path along which the free node `root` gets a partner and return its end, or -1: another free node or, of
   the atoms that `await` neighbours, a node that is reached evenly. `outer` is what was reached evenly. */
static int search(graph *g, int root, const uint8_t *await) {
    int head = 0, tail = 0;
    memset(g->outer, 0, g->n);
    for (int i = 0; i < g->n; i++) g->parent[i] = -1, g->base[i] = i;
    g->outer[root] = 1;
    g->queue[tail++] = root;
    while (head < tail) {
        const int v = g->queue[head++];
        const int32_t *others = g->adjacent + (int64_t)v * g->capacity;
        if (await != NULL && await[g->atom[v]]) return v;
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
                if (g->match[to] == FREE) return to;
                if (g->match[to] == PROMISED) continue; /* its partner has no other neighbour */
                g->outer[g->match[to]] = 1;
                g->queue[tail++] = g->match[to];
            }
        }
    }
    return -1;
}

/* Give the free node `root` a partner if that leaves no other without; say whether it has one. */
static int find_partner(graph *g, int root, const uint8_t *await) {
    int v = search(g, root, await);
    if (v < 0) return 0;
    if (g->outer[v]) {
        const int before = g->match[v];
        g->match[v] = PROMISED;
        v = before;
    }
    while (v >= 0) {
        const int before = g->parent[v], next = g->match[before];
        g->match[v] = before;
        g->match[before] = v;
        v = next;
    }
    return 1;
}

static void add_node(graph *g, int atom, const uint8_t *bonded) {
    const int v = g->n++;
    g->atom[v] = atom;
    g->match[v] = FREE;
    g->degree[v] = 0;
    for (int other = 0; other < v; other++)
        if (g->atom[other] != atom && bonded[g->atom[other]]) {
            g->adjacent[(int64_t)v * g->capacity + g->degree[v]++] = other;
            g->adjacent[(int64_t)other * g->capacity + g->degree[other]++] = v;
        }
    find_partner(g, v, NULL);
}

static int64_t count_free(const graph *g) {
    int64_t n = 0;
    for (int v = 0; v < g->n; v++) n += g->match[v] == FREE;
    return n;
}

static int64_t count_short(const graph *g) {
    int64_t n = 0;
    int last = -1;
    for (int v = 0; v < g->n; v++)
        if (g->match[v] == FREE && g->atom[v] != last) last = g->atom[v], n++;
    return n;
}

static int64_t count_stuck(graph *g, const uint8_t *await) {
    memcpy(g->kept, g->match, g->n * sizeof(int32_t));
    for (int v = 0; v < g->n; v++)
        if (g->match[v] == FREE) find_partner(g, v, await);
    const int64_t n = count_free(g);
    memcpy(g->match, g->kept, g->n * sizeof(int32_t));
    return n;
}

static void mark_wanting(graph *g, uint8_t *wanting) {
    for (int v = 0; v < g->n; v++) {
        if (g->match[v] != FREE) continue;
        search(g, v, NULL);
        for (int i = 0; i < g->n; i++)
            if (g->outer[i]) wanting[g->atom[i]] = 1;
    }
}

int find_unmatched(const matching_task *task, int64_t first, int64_t last) {
    const int64_t width = task->n_atoms;
    for (int64_t row = first; row < last; row++) {
        const int8_t *lacks = task->lacks + row * width;
        const uint8_t *bonded = task->bonded + task->molecule[row] * width * width;
        int64_t *n_free = task->n_free + row * task->n_lacks, *n_stuck = task->n_stuck + 2 * row * task->n_lacks;
        int64_t capacity = task->n_lacks;
        for (int64_t a = 0; a < width; a++) capacity += lacks[a];
        int32_t *numbers = calloc(capacity * (7 + capacity), sizeof(int32_t));
        uint8_t *flags = calloc(3 * capacity + width + 1, 1);
        if (numbers == NULL || flags == NULL) {
            free(numbers);
            free(flags);
            return 1;
        }
        graph g = {
            .n = 0, .capacity = capacity, .atom = numbers, .match = numbers + capacity, .kept = numbers + 2 * capacity,
            .parent = numbers + 3 * capacity, .base = numbers + 4 * capacity, .queue = numbers + 5 * capacity,
            .degree = numbers + 6 * capacity, .adjacent = numbers + 7 * capacity,
            .outer = flags, .blossom = flags + capacity, .seen = flags + 2 * capacity,
        };
        uint8_t *await = flags + 3 * capacity;
        memcpy(await, task->awaiting + row * width, width);
        for (int64_t a = 0; a < width; a++)
            for (int copy = 0; copy < lacks[a]; copy++) add_node(&g, a, bonded + a * width);
        mark_wanting(&g, task->wanting + row * width);
        for (int64_t more = 0; more < task->n_lacks; more++) {
            if (more) add_node(&g, width, task->beside + row * width);
            n_free[more] = count_free(&g);
            task->n_short[row * task->n_lacks + more] = count_short(&g);
            for (int some = 0; n_free[more] && some < 2; some++) {
                await[width] = some;
                n_stuck[2 * more + some] = count_stuck(&g, await);
            }
        }
        free(numbers);
        free(flags);
    }
    return 0;
}
