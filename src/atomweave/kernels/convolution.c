/* The equivariant convolution of `models/embedders/convolution.py`, forward and backward, in float32.

   Everything but the rotations acts channel by channel, so that the outermost loop below a receiving atom runs over blocks of
   channels: the weights of its pairs stay in the second-level cache while all fragments that hold the atom pass by, and
   sums over neighbours stay in registers. A molecule is the unit of parallel work: nothing is shared between two. */

#include <stdlib.h>
#include <string.h>

#include "vector.h"

#define BLOCK 32 /* channels at a time, two vectors */
#define MAX_ORDERS 13 /* 2 * 6 + 1 */
#define UNROLL _Pragma("GCC unroll 13")

typedef struct {
    int64_t channels, lmax_in, lmax_out, n_atoms, n_rows, n_receivers, rotation_size;
    const float *features;         /* (components in, n_rows, channels) */
    const float *weights;          /* (n_links, n_paths, channels) */
    const float *rotations;        /* (n_pairs, rotation_size), all degrees' matrices one after the other */
    const int64_t *pair, *link;    /* (n_molecules, n_atoms receiving, n_atoms sending), -1 where none */
    const int64_t *order;          /* (n_receivers,) receivers sorted by molecule and atom */
    const int64_t *molecule_start; /* (n_molecules + 1,) where each molecule's receivers begin in `order` */
    const int64_t *atom, *prefix, *first_row; /* (n_receivers,) */
    float *received;               /* (components out, n_receivers, n_degrees_in * channels) */
    const float *grad_received;
    float *grad_features, *grad_weights; /* as features and weights, zero at first */
} convolution;

INLINE int64_t rotation_offset(int64_t degree) { return degree * (4 * degree * degree - 1) / 3; }

/* turned[m] = sum_mu R[m, mu] x[mu] */
INLINE void turn(const int L, const int B, const float *R, const float *x, int64_t stride, float *turned) {
    const int n = 2 * L + 1;
    vec acc[MAX_ORDERS][2];
    UNROLL for (int m = 0; m < n; m++) for (int b = 0; b < B; b++) acc[m][b] = (vec){0};
    for (int mu = 0; mu < n; mu++) {
        for (int b = 0; b < B; b++) {
            const vec v = *(const vec *)(x + mu * stride + b * LANES);
            UNROLL for (int m = 0; m < n; m++) acc[m][b] += R[m * n + mu] * v;
        }
    }
    UNROLL for (int m = 0; m < n; m++) for (int b = 0; b < B; b++) *(vec *)(turned + m * BLOCK + b * LANES) = acc[m][b];
}

/* x[mu] += sum_m R[m, mu] turned[m] */
INLINE void turn_back(const int L, const int B, const float *R, const float *turned, int64_t stride, float *x) {
    const int n = 2 * L + 1;
    vec acc[MAX_ORDERS][2];
    UNROLL for (int mu = 0; mu < n; mu++)
        for (int b = 0; b < B; b++) acc[mu][b] = *(const vec *)(x + mu * stride + b * LANES);
    for (int m = 0; m < n; m++) {
        for (int b = 0; b < B; b++) {
            const vec v = *(const vec *)(turned + m * BLOCK + b * LANES);
            UNROLL for (int mu = 0; mu < n; mu++) acc[mu][b] += R[m * n + mu] * v;
        }
    }
    UNROLL for (int mu = 0; mu < n; mu++)
        for (int b = 0; b < B; b++) *(vec *)(x + mu * stride + b * LANES) = acc[mu][b];
}

/* The neighbours of one receiving atom, and the block of channels at hand. */
typedef struct {
    int64_t n, *sender, *pair, *link;
    int64_t components_in, rotation_size, weight_size, channels;
    const float *rotations, *weights;
    float *grad_weights;
    float *turned, *grad_turned; /* (n_neighbours, components in, BLOCK) */
} neighbourhood;

/* One degree in and one out: weigh, turn back, sum over the first `n` neighbours. */
INLINE void contract(const int L, const int B, const neighbourhood *h, int64_t n, int degree_in, int64_t path,
                     int64_t stride, float *out) {
    const int orders = 2 * L + 1, m_max = degree_in < L ? degree_in : L;
    vec acc[MAX_ORDERS][2];
    UNROLL for (int mu = 0; mu < orders; mu++) for (int b = 0; b < B; b++) acc[mu][b] = (vec){0};
    for (int64_t a = 0; a < n; a++) {
        const float *R = h->rotations + h->pair[a] * h->rotation_size + rotation_offset(L) + L * orders;
        const float *w = h->weights + h->link[a] * h->weight_size + path * h->channels;
        const float *t = h->turned + (a * h->components_in + degree_in * (degree_in + 1)) * BLOCK;
        for (int m = 0; m <= m_max; m++) {
            for (int b = 0; b < B; b++) {
                const vec weight = *(const vec *)(w + m * h->channels + b * LANES);
                const vec plus = weight * *(const vec *)(t + m * BLOCK + b * LANES);
                UNROLL for (int mu = 0; mu < orders; mu++) acc[mu][b] += R[m * orders + mu] * plus;
                if (m == 0) continue;
                const vec minus = weight * *(const vec *)(t - m * BLOCK + b * LANES);
                UNROLL for (int mu = 0; mu < orders; mu++) acc[mu][b] += R[-m * orders + mu] * minus;
            }
        }
    }
    UNROLL for (int mu = 0; mu < orders; mu++)
        for (int b = 0; b < B; b++) *(vec *)(out + mu * stride + b * LANES) = acc[mu][b];
}

/* The same backward: adds to the gradients of the weights and of the turned features. */
INLINE void spread(const int L, const int B, const neighbourhood *h, int64_t n, int degree_in, int64_t path,
                   int64_t stride, const float *grad) {
    const int orders = 2 * L + 1, m_max = degree_in < L ? degree_in : L;
    vec g[MAX_ORDERS][2];
    UNROLL for (int mu = 0; mu < orders; mu++)
        for (int b = 0; b < B; b++) g[mu][b] = *(const vec *)(grad + mu * stride + b * LANES);
    for (int64_t a = 0; a < n; a++) {
        const float *R = h->rotations + h->pair[a] * h->rotation_size + rotation_offset(L) + L * orders;
        const int64_t first = h->link[a] * h->weight_size + path * h->channels;
        const int64_t centre = (a * h->components_in + degree_in * (degree_in + 1)) * BLOCK;
        for (int m = 0; m <= m_max; m++) {
            for (int b = 0; b < B; b++) {
                const int64_t place = first + m * h->channels + b * LANES;
                const int64_t at_plus = centre + m * BLOCK + b * LANES, at_minus = centre - m * BLOCK + b * LANES;
                const vec weight = *(const vec *)(h->weights + place);
                vec plus = {0}, minus = {0};
                UNROLL for (int mu = 0; mu < orders; mu++) plus += R[m * orders + mu] * g[mu][b];
                vec grad_weight = plus * *(const vec *)(h->turned + at_plus);
                *(vec *)(h->grad_turned + at_plus) += weight * plus;
                if (m > 0) {
                    UNROLL for (int mu = 0; mu < orders; mu++) minus += R[-m * orders + mu] * g[mu][b];
                    grad_weight += minus * *(const vec *)(h->turned + at_minus);
                    *(vec *)(h->grad_turned + at_minus) += weight * minus;
                }
                *(vec *)(h->grad_weights + place) += grad_weight;
            }
        }
    }
}

/* Calls `function(L, B, ...)` with both as constants, so that its loops unroll into registers. */
#define BY_DEGREE(function, L, B, ...)                                    \
    switch (L) {                                                          \
        case 0: function(0, B, __VA_ARGS__); break;                       \
        case 1: function(1, B, __VA_ARGS__); break;                       \
        case 2: function(2, B, __VA_ARGS__); break;                       \
        case 3: function(3, B, __VA_ARGS__); break;                       \
        case 4: function(4, B, __VA_ARGS__); break;                       \
        case 5: function(5, B, __VA_ARGS__); break;                       \
        case 6: function(6, B, __VA_ARGS__); break;                       \
    }

INLINE void receive(const int B, const convolution *c, const neighbourhood *h, int64_t receiver, int64_t n,
                    int64_t channel, int backward) {
    const int64_t degrees_in = c->lmax_in + 1, width = degrees_in * c->channels;
    const int64_t row_stride = c->n_rows * c->channels, out_stride = c->n_receivers * width;
    for (int64_t a = 0; a < n; a++) {
        const float *R = h->rotations + h->pair[a] * h->rotation_size;
        const float *x = c->features + (c->first_row[receiver] + h->sender[a]) * c->channels + channel;
        float *turned = h->turned + a * h->components_in * BLOCK;
        for (int64_t l = 0; l < degrees_in; l++)
            BY_DEGREE(turn, l, B, R + rotation_offset(l), x + l * l * row_stride, row_stride, turned + l * l * BLOCK)
    }
    if (backward) memset(h->grad_turned, 0, sizeof(float) * n * h->components_in * BLOCK);
    int64_t path = 0;
    for (int64_t in = 0; in < degrees_in; in++)
        for (int64_t out = 0; out <= c->lmax_out; out++) {
            const int64_t place = out * out * out_stride + receiver * width + in * c->channels + channel;
            if (backward) {
                BY_DEGREE(spread, out, B, h, n, in, path, out_stride, c->grad_received + place)
            } else {
                BY_DEGREE(contract, out, B, h, n, in, path, out_stride, c->received + place)
            }
            path += (in < out ? in : out) + 1;
        }
    if (!backward) return;
    for (int64_t a = 0; a < n; a++) {
        const float *R = h->rotations + h->pair[a] * h->rotation_size;
        float *x = c->grad_features + (c->first_row[receiver] + h->sender[a]) * c->channels + channel;
        const float *turned = h->grad_turned + a * h->components_in * BLOCK;
        for (int64_t l = 0; l < degrees_in; l++)
            BY_DEGREE(turn_back, l, B, R + rotation_offset(l), turned + l * l * BLOCK, row_stride, x + l * l * row_stride)
    }
}

INLINE int molecules(const convolution *c, int64_t first, int64_t last, int backward) {
    const int64_t components_in = (c->lmax_in + 1) * (c->lmax_in + 1);
    int64_t n_paths = 0;
    for (int64_t in = 0; in <= c->lmax_in; in++)
        for (int64_t out = 0; out <= c->lmax_out; out++) n_paths += (in < out ? in : out) + 1;
    int64_t *indices = malloc(sizeof(int64_t) * 3 * c->n_atoms);
    float *scratch = NULL;
    if (posix_memalign((void **)&scratch, 64, sizeof(float) * 2 * c->n_atoms * components_in * BLOCK)) scratch = NULL;
    if (!indices || !scratch) {
        free(indices);
        free(scratch);
        return 1;
    }
    neighbourhood h = {
        .sender = indices, .pair = indices + c->n_atoms, .link = indices + 2 * c->n_atoms,
        .components_in = components_in, .rotation_size = c->rotation_size,
        .weight_size = n_paths * c->channels, .channels = c->channels, .rotations = c->rotations,
        .turned = scratch, .grad_turned = scratch + c->n_atoms * components_in * BLOCK,
    };
    for (int64_t molecule = first; molecule < last; molecule++) {
        int64_t start = c->molecule_start[molecule];
        while (start < c->molecule_start[molecule + 1]) {
            const int64_t atom = c->atom[c->order[start]];
            int64_t stop = start;
            while (stop < c->molecule_start[molecule + 1] && c->atom[c->order[stop]] == atom) stop++;
            const int64_t table = (molecule * c->n_atoms + atom) * c->n_atoms;
            h.n = 0;
            for (int64_t sender = 0; sender < c->n_atoms; sender++) {
                if (c->pair[table + sender] < 0) continue;
                h.sender[h.n] = sender;
                h.pair[h.n] = c->pair[table + sender];
                h.link[h.n++] = c->link[table + sender];
            }
            for (int64_t channel = 0; channel < c->channels; channel += BLOCK) {
                h.weights = c->weights + channel;
                h.grad_weights = backward ? c->grad_weights + channel : NULL;
                for (int64_t i = start; i < stop; i++) {
                    const int64_t receiver = c->order[i];
                    int64_t n = 0;
                    while (n < h.n && h.sender[n] < c->prefix[receiver]) n++;
                    if (channel + BLOCK <= c->channels)
                        receive(2, c, &h, receiver, n, channel, backward);
                    else
                        receive(1, c, &h, receiver, n, channel, backward);
                }
            }
            start = stop;
        }
    }
    free(indices);
    free(scratch);
    return 0;
}

/* Both return 0, or 1 where no memory was left. The channels must be a multiple of 16, degrees at most 6. */
int convolution_forward(const convolution *c, int64_t first, int64_t last) { return molecules(c, first, last, 0); }
int convolution_backward(const convolution *c, int64_t first, int64_t last) { return molecules(c, first, last, 1); }
