/* The activation x * sigmoid(x) of edge features with what surrounds it, in one pass over memory, forward and backward:
   a residual is added, or a row is scaled by the weights of its link. Features are float32 or bfloat16, the arithmetic is
   float32. */

#include "sigmoid.h"

typedef struct {
    int64_t width, bfloat16;
    const int64_t *item_start; /* (n_items + 1,) first row of each item of parallel work; NULL: items are rows */
    const void *z;             /* (n_rows, width) */
    const void *added;         /* (n_rows, width), added to the activation; NULL for none */
    const float *scale;        /* (n_links, width), multiplies the activation; NULL for none */
    const int64_t *link;       /* (n_rows,), row of `scale`; items share none */
    const void *grad;          /* (n_rows, width), backward: of the output */
    void *out;                 /* (n_rows, width) */
    void *grad_z;              /* (n_rows, width) */
    float *grad_scale;         /* (n_links, width), zero at first */
} swish;

INLINE vec load(const int half, const void *x, int64_t at) {
    if (!half) return *(const vec *)((const float *)x + at);
    const uvec wide = __builtin_convertvector(*(const hvec *)((const uint16_t *)x + at), uvec) << 16;
    return (vec)wide;
}

INLINE void store(const int half, void *x, int64_t at, vec value) {
    if (!half) {
        *(vec *)((float *)x + at) = value;
        return;
    }
    const uvec bits = (uvec)value; /* to the nearest, ties to even */
    *(hvec *)((uint16_t *)x + at) = __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, hvec);
}

INLINE void rows(const int half, const int backward, const int scaled, const int added, const swish *a, int64_t first,
                 int64_t last) {
    for (int64_t row = first; row < last; row++)
        for (int64_t c = 0; c < a->width; c += LANES) {
            const int64_t at = row * a->width + c, weight = scaled ? a->link[row] * a->width + c : 0;
            const vec z = load(half, a->z, at), s = sigmoid(z), y = z * s;
            vec out = y;
            if (scaled) out *= *(const vec *)(a->scale + weight);
            if (added) out += load(half, a->added, at);
            store(half, a->out, at, out);
            if (!backward) continue;
            vec grad = load(half, a->grad, at);
            if (scaled) {
                *(vec *)(a->grad_scale + weight) += grad * y;
                grad *= *(const vec *)(a->scale + weight);
            }
            store(half, a->grad_z, at, grad * (s + y * (1.0f - s)));
        }
}

INLINE int items(const int backward, const swish *a, int64_t first, int64_t last) {
    if (a->item_start) first = a->item_start[first], last = a->item_start[last];
    /* The conditions as constants, so that none is left in the loops. */
    switch ((a->bfloat16 ? 4 : 0) | (a->scale ? 2 : 0) | (a->added ? 1 : 0)) {
        case 0: rows(0, backward, 0, 0, a, first, last); break;
        case 1: rows(0, backward, 0, 1, a, first, last); break;
        case 2: rows(0, backward, 1, 0, a, first, last); break;
        case 3: rows(0, backward, 1, 1, a, first, last); break;
        case 4: rows(1, backward, 0, 0, a, first, last); break;
        case 5: rows(1, backward, 0, 1, a, first, last); break;
        case 6: rows(1, backward, 1, 0, a, first, last); break;
        case 7: rows(1, backward, 1, 1, a, first, last); break;
    }
    return 0;
}

/* Both return 0. The width must be a multiple of 16. */
int swish_forward(const swish *a, int64_t first, int64_t last) { return items(0, a, first, last); }
int swish_backward(const swish *a, int64_t first, int64_t last) { return items(1, a, first, last); }
