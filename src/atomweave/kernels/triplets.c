/* Sums over triplets (k -> j, j -> i) of `models/embedders/triplets.py`, forward and backward, in float32.

   For a target (j -> i) and the atom from which its torsions are counted, the angular weights of all k are formed once,
   in the first-level cache, and read by every prefix that has this reference; nothing is kept of them, the backward pass
   forms them again. A molecule is the unit of parallel work: nothing is shared between two. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vector.h"

#define BASIS 8
#define MAX_DEGREES 7
#define COLLINEAR 1e-4f /* as in `triplets.py` */
#define MAX_HARMONICS (MAX_DEGREES * MAX_DEGREES)
#define UNROLL _Pragma("GCC unroll 8")

typedef float vec8 __attribute__((vector_size(4 * BASIS), aligned(4), may_alias));

typedef struct {
    int64_t n_atoms, channels, n_degrees;
    int64_t shared;             /* messages are of pairs, not of edges */
    const float *positions;     /* (n_molecules, n_atoms, 3) */
    const float *towards;       /* (n_pairs, 3), unit vectors from the receiver to the sender */
    const float *norms;         /* (MAX_HARMONICS,), those of degree l at l^2 */
    const int64_t *sender;      /* (n_pairs,) */
    const int64_t *link;        /* (n_pairs,), the same of a pair and its reverse */
    const int64_t *first_pair;  /* (n_molecules, n_atoms) */
    const int64_t *graph_start; /* (n_molecules + 1,) */
    const int64_t *first, *count; /* (n_graphs, n_atoms), of the edges */
    const int64_t *nearest, *second; /* (n_graphs, n_atoms); NULL without torsions */
    const float *messages;      /* (n_pairs or n_edges, channels) */
    const float *angle;         /* (n_links, n_degrees, BASIS) */
    const float *torsion;       /* (n_links, n_degrees^2, BASIS) */
    const float *expand_angle, *expand_torsion; /* (channels, BASIS) */
    float *sums;                /* (n_edges, channels), zero at first */
    const float *grad_sums;
    float *grad_messages, *grad_angle, *grad_torsion; /* zero at first */
    float *grad_expand_angle, *grad_expand_torsion;   /* (n_molecules, BASIS, channels), zero at first */
} triplets;

/* Room for one molecule at a time; the neighbours of one atom, k, are at most n_atoms, filled up to whole vectors. */
typedef struct {
    int64_t *rank;      /* (n_atoms, n_atoms): rank of an atom among another's neighbours */
    int64_t *group;     /* (n_graphs,) reference of each graph, -1 where it does not hold the target */
    float *direction;   /* (3, n_lanes) of k in the target's frame */
    float *harmonics;   /* (MAX_HARMONICS, n_lanes) */
    float *basis[2];    /* (n_lanes, BASIS): angles, torsions */
    float *expanded[2]; /* (n_lanes, channels) */
    float *weights, *grad_weights; /* (n_lanes, channels) */
    float *expand[2];   /* (BASIS, channels) */
    int64_t n_lanes;
} workspace;

/* Directions of the first `n` neighbours k in the frame of j -> i: z along the axis, and the torsion phi of k such that
   x = sin(theta) cos(phi), y = sin(theta) sin(phi). phi turns k into the reference, so y points against the turn. */
static void turn(const triplets *t, const workspace *w, int64_t molecule, int64_t j, int64_t pair_ji, int64_t reference,
                 int64_t n) {
    const int64_t site = molecule * t->n_atoms + j;
    const float *z = t->towards + 3 * pair_ji;
    float x[3] = {0, 0, 0}, y[3] = {0, 0, 0};
    if (t->torsion) {
        const float *origin = t->positions + 3 * site;
        const float *at = t->positions + 3 * (molecule * t->n_atoms + reference);
        const float away[3] = {at[0] - origin[0], at[1] - origin[1], at[2] - origin[2]};
        const float length = sqrtf(away[0] * away[0] + away[1] * away[1] + away[2] * away[2]);
        const float along = away[0] * z[0] + away[1] * z[1] + away[2] * z[2];
        for (int c = 0; c < 3; c++) x[c] = away[c] - along * z[c];
        const float across = sqrtf(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]);
        const float scale = across > COLLINEAR * length ? 1 / across : 0;
        for (int c = 0; c < 3; c++) x[c] *= scale;
        y[0] = x[1] * z[2] - x[2] * z[1];
        y[1] = x[2] * z[0] - x[0] * z[2];
        y[2] = x[0] * z[1] - x[1] * z[0];
    }
    for (int64_t k = 0; k < n; k++) {
        const float *d = t->towards + 3 * (t->first_pair[site] + k);
        w->direction[k] = x[0] * d[0] + x[1] * d[1] + x[2] * d[2];
        w->direction[w->n_lanes + k] = y[0] * d[0] + y[1] * d[1] + y[2] * d[2];
        w->direction[2 * w->n_lanes + k] = z[0] * d[0] + z[1] * d[1] + z[2] * d[2];
    }
}

/* Real harmonics as `wave_harmonics` orders and signs them; only the zonal ones without torsions. */
static void evaluate_harmonics(const triplets *t, const workspace *w, int64_t n) {
    const int64_t orders = t->torsion ? t->n_degrees : 1;
    for (int64_t k = 0; k < n; k += LANES) {
        const vec x = *(const vec *)(w->direction + k), y = *(const vec *)(w->direction + w->n_lanes + k);
        const vec z = *(const vec *)(w->direction + 2 * w->n_lanes + k);
        vec cosine = (vec){0} + 1, sine = (vec){0}, sectoral = (vec){0} + 1;
        for (int64_t m = 0; m < orders; m++) {
            vec legendre = sectoral, before = {0};
            for (int64_t l = m; l < t->n_degrees; l++) {
                const vec value = t->norms[l * l + m] * legendre;
                *(vec *)(w->harmonics + (l * l + m) * w->n_lanes + k) = value * cosine;
                if (m) *(vec *)(w->harmonics + (l * l + 2 * l + 1 - m) * w->n_lanes + k) = value * sine;
                const vec next = ((float)(2 * l + 1) * z * legendre - (float)(l + m) * before) * (1 / (float)(l + 1 - m));
                before = legendre;
                legendre = next;
            }
            sectoral *= -(float)(2 * m + 1);
            const vec turned = x * cosine - y * sine;
            sine = x * sine + y * cosine;
            cosine = turned;
        }
    }
}

/* basis[k] = sum over harmonics q, all or the zonal ones, of weights[link[k]][q] * harmonics[q][k]. */
INLINE void project(const int zonal, const workspace *w, int64_t n_functions, const float *weights, const int64_t *link,
                    int64_t n, float *basis) {
    for (int64_t k = 0; k < n; k++) {
        const float *row = weights + link[k] * n_functions * BASIS;
        vec8 even = {0}, odd = {0};
        int64_t q = 0;
        for (; q + 1 < n_functions; q += 2) {
            even += w->harmonics[(zonal ? q * q : q) * w->n_lanes + k] * *(const vec8 *)(row + q * BASIS);
            odd += w->harmonics[(zonal ? (q + 1) * (q + 1) : q + 1) * w->n_lanes + k] * *(const vec8 *)(row + (q + 1) * BASIS);
        }
        if (q < n_functions) even += w->harmonics[(zonal ? q * q : q) * w->n_lanes + k] * *(const vec8 *)(row + q * BASIS);
        *(vec8 *)(basis + k * BASIS) = even + odd;
    }
}

/* expanded[k] = basis[k] . expand */
static void widen(const float *basis, const float *expand, int64_t channels, int64_t n, float *expanded) {
    for (int64_t c = 0; c < channels; c += LANES) {
        vec matrix[BASIS];
        UNROLL for (int a = 0; a < BASIS; a++) matrix[a] = *(const vec *)(expand + a * channels + c);
        for (int64_t k = 0; k < n; k++) {
            vec sum = basis[k * BASIS] * matrix[0];
            UNROLL for (int a = 1; a < BASIS; a++) sum += basis[k * BASIS + a] * matrix[a];
            *(vec *)(expanded + k * channels + c) = sum;
        }
    }
}

/* The angular weights of the first `n` neighbours k, but of `skip`, which is the target itself. */
static void weigh(const triplets *t, const workspace *w, int64_t pair_kj, int64_t skip, int64_t n) {
    const int64_t n_angles = t->n_degrees, n_torsions = n_angles * n_angles, size = n * t->channels;
    evaluate_harmonics(t, w, n);
    project(1, w, n_angles, t->angle, t->link + pair_kj, n, w->basis[0]);
    widen(w->basis[0], w->expand[0], t->channels, n, w->expanded[0]);
    if (t->torsion) {
        project(0, w, n_torsions, t->torsion, t->link + pair_kj, n, w->basis[1]);
        widen(w->basis[1], w->expand[1], t->channels, n, w->expanded[1]);
        for (int64_t c = 0; c < size; c += LANES)
            *(vec *)(w->weights + c) = *(const vec *)(w->expanded[0] + c) * *(const vec *)(w->expanded[1] + c);
    } else {
        memcpy(w->weights, w->expanded[0], sizeof(float) * size);
    }
    if (skip < n) memset(w->weights + skip * t->channels, 0, sizeof(float) * t->channels);
}

/* One edge of one graph: its sum over k. B vectors of channels at a time. */
INLINE void sum_up(const int B, const float *messages, const float *weights, int64_t channels, int64_t n, float *sums) {
    for (int64_t c = 0; c < channels; c += B * LANES) {
        vec acc[4];
        UNROLL for (int b = 0; b < B; b++) acc[b] = (vec){0};
        for (int64_t k = 0; k < n; k++)
            UNROLL for (int b = 0; b < B; b++)
                acc[b] += *(const vec *)(messages + k * channels + c + b * LANES) *
                          *(const vec *)(weights + k * channels + c + b * LANES);
        UNROLL for (int b = 0; b < B; b++) *(vec *)(sums + c + b * LANES) = acc[b];
    }
}

/* The same backward: adds to the gradients of messages and weights. */
INLINE void hand_back(const int B, const float *grad, const float *messages, const float *weights, int64_t channels,
                      int64_t n, float *grad_messages, float *grad_weights) {
    for (int64_t c = 0; c < channels; c += B * LANES) {
        vec g[4];
        UNROLL for (int b = 0; b < B; b++) g[b] = *(const vec *)(grad + c + b * LANES);
        for (int64_t k = 0; k < n; k++)
            UNROLL for (int b = 0; b < B; b++) {
                const int64_t place = k * channels + c + b * LANES;
                *(vec *)(grad_messages + place) += g[b] * *(const vec *)(weights + place);
                *(vec *)(grad_weights + place) += g[b] * *(const vec *)(messages + place);
            }
    }
}

/* Gradient of `widen` and `project`; `grad` (n, channels) is of what was expanded. */
INLINE void narrow(const int zonal, const workspace *w, int64_t n_functions, int64_t channels, int64_t n, const float *grad,
                   const float *basis, const float *expand, const int64_t *link, float *grad_expand, float *grad_weights) {
    for (int64_t c = 0; c < channels; c += LANES) {
        vec acc[BASIS];
        UNROLL for (int a = 0; a < BASIS; a++) acc[a] = *(const vec *)(grad_expand + a * channels + c);
        for (int64_t k = 0; k < n; k++) {
            const vec g = *(const vec *)(grad + k * channels + c);
            UNROLL for (int a = 0; a < BASIS; a++) acc[a] += basis[k * BASIS + a] * g;
        }
        UNROLL for (int a = 0; a < BASIS; a++) *(vec *)(grad_expand + a * channels + c) = acc[a];
    }
    for (int64_t k = 0; k < n; k++) {
        vec8 acc[4] = {{0}, {0}, {0}, {0}};
        for (int64_t c = 0; c < channels; c += 4)
            UNROLL for (int b = 0; b < 4; b++)
                acc[b] += grad[k * channels + c + b] * *(const vec8 *)(expand + (c + b) * BASIS);
        const vec8 total = (acc[0] + acc[1]) + (acc[2] + acc[3]);
        float *row = grad_weights + link[k] * n_functions * BASIS;
        for (int64_t q = 0; q < n_functions; q++)
            *(vec8 *)(row + q * BASIS) += w->harmonics[(zonal ? q * q : q) * w->n_lanes + k] * total;
    }
}

static void weigh_backward(const triplets *t, const workspace *w, int64_t molecule, int64_t pair_kj, int64_t skip, int64_t n) {
    const int64_t n_angles = t->n_degrees, n_torsions = n_angles * n_angles, channels = t->channels;
    if (skip < n) memset(w->grad_weights + skip * channels, 0, sizeof(float) * channels);
    if (t->torsion)
        for (int64_t c = 0; c < n * channels; c += LANES) {
            const vec grad = *(const vec *)(w->grad_weights + c), other = *(const vec *)(w->expanded[1] + c);
            *(vec *)(w->expanded[1] + c) = grad * *(const vec *)(w->expanded[0] + c);
            *(vec *)(w->grad_weights + c) = grad * other;
        }
    narrow(1, w, n_angles, channels, n, w->grad_weights, w->basis[0], t->expand_angle, t->link + pair_kj,
           t->grad_expand_angle + molecule * BASIS * channels, t->grad_angle);
    if (t->torsion)
        narrow(0, w, n_torsions, channels, n, w->expanded[1], w->basis[1], t->expand_torsion, t->link + pair_kj,
               t->grad_expand_torsion + molecule * BASIS * channels, t->grad_torsion);
}

/* All graphs of the target j -> i, whose i is the neighbour `skip` of j, that count torsions from the same atom as `lead`. */
INLINE void same_reference(const int B, const triplets *t, const workspace *w, int64_t molecule, int64_t j, int64_t skip,
                           int64_t lead, int backward) {
    const int64_t n_atoms = t->n_atoms, channels = t->channels, start = t->graph_start[molecule];
    const int64_t stop = t->graph_start[molecule + 1], reference = w->group[lead - start];
    const int64_t pair_kj = t->first_pair[molecule * n_atoms + j], i = t->sender[pair_kj + skip];
    int64_t n = 0;
    for (int64_t g = lead; g < stop; g++)
        if (w->group[g - start] == reference && t->count[g * n_atoms + j] > n) n = t->count[g * n_atoms + j];
    turn(t, w, molecule, j, pair_kj + skip, reference, n);
    weigh(t, w, pair_kj, skip, n);
    if (backward) memset(w->grad_weights, 0, sizeof(float) * n * channels);
    for (int64_t g = lead; g < stop; g++) {
        if (w->group[g - start] != reference) continue;
        w->group[g - start] = -1;
        const int64_t edge = t->first[g * n_atoms + i] + w->rank[i * n_atoms + j];
        const int64_t source = (t->shared ? pair_kj : t->first[g * n_atoms + j]) * channels;
        const int64_t n_here = t->count[g * n_atoms + j];
        if (backward)
            hand_back(B, t->grad_sums + edge * channels, t->messages + source, w->weights, channels, n_here,
                      t->grad_messages + source, w->grad_weights);
        else
            sum_up(B, t->messages + source, w->weights, channels, n_here, t->sums + edge * channels);
    }
    if (backward) weigh_backward(t, w, molecule, pair_kj, skip, n);
}

static void one_molecule(const triplets *t, const workspace *w, int64_t molecule, int backward) {
    const int64_t n_atoms = t->n_atoms, start = t->graph_start[molecule], stop = t->graph_start[molecule + 1];
    const int64_t *first_pair = t->first_pair + molecule * n_atoms;
    int64_t most[n_atoms]; /* neighbours in the largest graph */
    for (int64_t j = 0; j < n_atoms; j++) {
        most[j] = 0;
        for (int64_t g = start; g < stop; g++)
            if (t->count[g * n_atoms + j] > most[j]) most[j] = t->count[g * n_atoms + j];
        for (int64_t k = 0; k < most[j]; k++) w->rank[j * n_atoms + t->sender[first_pair[j] + k]] = k;
    }
    for (int64_t j = 0; j < n_atoms; j++)
        for (int64_t skip = 0; skip < most[j]; skip++) {
            const int64_t i = t->sender[first_pair[j] + skip];
            for (int64_t g = start; g < stop; g++) {
                const int64_t n = t->count[g * n_atoms + j];
                w->group[g - start] = -1;
                if (n < 2 || skip >= n) continue; /* no k, or no i */
                w->group[g - start] = 0;
                if (t->torsion) {
                    const int64_t nearest = t->nearest[g * n_atoms + j];
                    w->group[g - start] = nearest == i ? t->second[g * n_atoms + j] : nearest;
                }
            }
            for (int64_t g = start; g < stop; g++) {
                if (w->group[g - start] < 0) continue;
                if (t->channels % (4 * LANES) == 0)
                    same_reference(4, t, w, molecule, j, skip, g, backward);
                else
                    same_reference(1, t, w, molecule, j, skip, g, backward);
            }
        }
}

static int molecules(const triplets *t, int64_t first, int64_t last, int backward) {
    const int64_t n_lanes = (t->n_atoms + LANES - 1) / LANES * LANES, channels = t->channels;
    int64_t most_graphs = 0;
    for (int64_t molecule = first; molecule < last; molecule++) {
        const int64_t n = t->graph_start[molecule + 1] - t->graph_start[molecule];
        if (n > most_graphs) most_graphs = n;
    }
    int64_t *indices = malloc(sizeof(int64_t) * (t->n_atoms * t->n_atoms + most_graphs));
    float *scratch = NULL;
    const int64_t n_floats = n_lanes * (3 + MAX_HARMONICS + 2 * BASIS + 4 * channels) + 2 * BASIS * channels;
    if (posix_memalign((void **)&scratch, 64, sizeof(float) * n_floats)) scratch = NULL;
    if (!indices || !scratch) {
        free(indices);
        free(scratch);
        return 1;
    }
    memset(scratch, 0, sizeof(float) * n_floats);
    workspace w = {.rank = indices, .group = indices + t->n_atoms * t->n_atoms, .n_lanes = n_lanes};
    w.direction = scratch;
    w.harmonics = w.direction + 3 * n_lanes;
    w.basis[0] = w.harmonics + MAX_HARMONICS * n_lanes;
    w.basis[1] = w.basis[0] + BASIS * n_lanes;
    w.expanded[0] = w.basis[1] + BASIS * n_lanes;
    w.expanded[1] = w.expanded[0] + channels * n_lanes;
    w.weights = w.expanded[1] + channels * n_lanes;
    w.grad_weights = w.weights + channels * n_lanes;
    w.expand[0] = w.grad_weights + channels * n_lanes;
    w.expand[1] = w.expand[0] + BASIS * channels;
    for (int64_t c = 0; c < channels; c++)
        for (int64_t a = 0; a < BASIS; a++) {
            w.expand[0][a * channels + c] = t->expand_angle[c * BASIS + a];
            if (t->torsion) w.expand[1][a * channels + c] = t->expand_torsion[c * BASIS + a];
        }
    for (int64_t molecule = first; molecule < last; molecule++) one_molecule(t, &w, molecule, backward);
    free(indices);
    free(scratch);
    return 0;
}

/* Both return 0, or 1 where no memory was left. The channels must be a multiple of 16, the degrees at most 7. */
int triplets_forward(const triplets *t, int64_t first, int64_t last) { return molecules(t, first, last, 0); }
int triplets_backward(const triplets *t, int64_t first, int64_t last) { return molecules(t, first, last, 1); }
