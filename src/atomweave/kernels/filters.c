/* The continuous-filter convolution of `models/embedders/e3schnet.py`, forward and backward, in float32.

   A path couples the sender's degree with one of the harmonics: for each pair a small matrix from the sender's components
   to the receiver's, times one filter a channel. Sums over neighbours stay in registers; a molecule is the unit of parallel
   work. */

#include <stdlib.h>

#include "vector.h"

#define MAX_ORDERS 9 /* 2 * 4 + 1 */
#define UNROLL _Pragma("GCC unroll 9")

typedef struct {
    int64_t filters, n_paths, n_atoms, n_rows, coupling_size;
    const float *sent;             /* (components in, n_rows, filters) */
    const float *weights;          /* (n_links, n_paths, filters) */
    const float *couplings;        /* (n_pairs, coupling_size): matrices (components in, components out) path by path */
    const int64_t *pair, *link;    /* (n_molecules, n_atoms receiving, n_atoms sending), -1 where none */
    const int64_t *order;          /* (n_rows,) rows sorted by molecule and atom */
    const int64_t *molecule_start; /* (n_molecules + 1,) where each molecule's rows begin in `order` */
    const int64_t *atom, *prefix, *first_row; /* (n_rows,) */
    /* For each path: degrees, where its matrix begins, where its place in `received` begins, and the width of a row there. */
    const int64_t *degree_in, *degree_out, *coupling_start, *place, *width;
    float *received;               /* for each degree out (2l + 1, n_rows, width), one after the other */
    const float *grad_received;
    float *grad_sent, *grad_weights; /* as sent and weights, zero at first */
} filter_convolution;

typedef struct {
    int64_t n, *sender, *pair, *link;
} neighbours;

INLINE void receive(const int L, const filter_convolution *c, const neighbours *h, int64_t n, int64_t row, int64_t path,
                    int64_t channel) {
    const int orders = 2 * L + 1;
    const int64_t stride = c->n_rows * c->filters, in = c->degree_in[path];
    vec acc[MAX_ORDERS];
    UNROLL for (int mo = 0; mo < orders; mo++) acc[mo] = (vec){0};
    for (int64_t a = 0; a < n; a++) {
        const float *K = c->couplings + h->pair[a] * c->coupling_size + c->coupling_start[path];
        const float *u = c->sent + in * in * stride + (c->first_row[row] + h->sender[a]) * c->filters + channel;
        const vec weight = *(const vec *)(c->weights + (h->link[a] * c->n_paths + path) * c->filters + channel);
        for (int mi = 0; mi < 2 * in + 1; mi++) {
            const vec v = weight * *(const vec *)(u + mi * stride);
            UNROLL for (int mo = 0; mo < orders; mo++) acc[mo] += K[mi * orders + mo] * v;
        }
    }
    float *out = c->received + c->place[path] + row * c->width[path] + channel;
    UNROLL for (int mo = 0; mo < orders; mo++) *(vec *)(out + mo * c->n_rows * c->width[path]) = acc[mo];
}

INLINE void send_back(const int L, const filter_convolution *c, const neighbours *h, int64_t n, int64_t row, int64_t path,
                      int64_t channel) {
    const int orders = 2 * L + 1;
    const int64_t stride = c->n_rows * c->filters, in = c->degree_in[path];
    const float *grad = c->grad_received + c->place[path] + row * c->width[path] + channel;
    vec g[MAX_ORDERS];
    UNROLL for (int mo = 0; mo < orders; mo++) g[mo] = *(const vec *)(grad + mo * c->n_rows * c->width[path]);
    for (int64_t a = 0; a < n; a++) {
        const float *K = c->couplings + h->pair[a] * c->coupling_size + c->coupling_start[path];
        const int64_t first = in * in * stride + (c->first_row[row] + h->sender[a]) * c->filters + channel;
        const int64_t place = (h->link[a] * c->n_paths + path) * c->filters + channel;
        const vec weight = *(const vec *)(c->weights + place);
        vec grad_weight = *(const vec *)(c->grad_weights + place);
        for (int mi = 0; mi < 2 * in + 1; mi++) {
            vec s = {0};
            UNROLL for (int mo = 0; mo < orders; mo++) s += K[mi * orders + mo] * g[mo];
            grad_weight += s * *(const vec *)(c->sent + first + mi * stride);
            *(vec *)(c->grad_sent + first + mi * stride) += weight * s;
        }
        *(vec *)(c->grad_weights + place) = grad_weight;
    }
}

#define BY_DEGREE(function, L, ...)                 \
    switch (L) {                                    \
        case 0: function(0, __VA_ARGS__); break;    \
        case 1: function(1, __VA_ARGS__); break;    \
        case 2: function(2, __VA_ARGS__); break;    \
        case 3: function(3, __VA_ARGS__); break;    \
        case 4: function(4, __VA_ARGS__); break;    \
    }

INLINE int molecules(const filter_convolution *c, int64_t first, int64_t last, int backward) {
    int64_t *indices = malloc(sizeof(int64_t) * 3 * c->n_atoms);
    if (!indices) return 1;
    neighbours h = {.sender = indices, .pair = indices + c->n_atoms, .link = indices + 2 * c->n_atoms};
    for (int64_t molecule = first; molecule < last; molecule++) {
        int64_t atom = -1;
        for (int64_t i = c->molecule_start[molecule]; i < c->molecule_start[molecule + 1]; i++) {
            const int64_t row = c->order[i];
            if (c->atom[row] != atom) {
                atom = c->atom[row];
                const int64_t table = (molecule * c->n_atoms + atom) * c->n_atoms;
                h.n = 0;
                for (int64_t sender = 0; sender < c->n_atoms; sender++) {
                    if (c->pair[table + sender] < 0) continue;
                    h.sender[h.n] = sender;
                    h.pair[h.n] = c->pair[table + sender];
                    h.link[h.n++] = c->link[table + sender];
                }
            }
            int64_t n = 0;
            while (n < h.n && h.sender[n] < c->prefix[row]) n++;
            for (int64_t path = 0; path < c->n_paths; path++)
                for (int64_t channel = 0; channel < c->filters; channel += LANES) {
                    if (backward) {
                        BY_DEGREE(send_back, c->degree_out[path], c, &h, n, row, path, channel)
                    } else {
                        BY_DEGREE(receive, c->degree_out[path], c, &h, n, row, path, channel)
                    }
                }
        }
    }
    free(indices);
    return 0;
}

/* Both return 0, or 1 where no memory was left. The filters must be a multiple of 16, degrees at most 4. */
int filters_forward(const filter_convolution *c, int64_t first, int64_t last) { return molecules(c, first, last, 0); }
int filters_backward(const filter_convolution *c, int64_t first, int64_t last) { return molecules(c, first, last, 1); }
