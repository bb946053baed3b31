/* A layer of SphereNet between its sums over triplets, in float32: a few dozen rows pass through all products and
   activations while they are in the cache, forward and backward. `fused.py` says what goes where.

   A product runs over a block of ROWS rows and 32 columns, whose sums stay in registers. */

#include <stdlib.h>
#include <string.h>

#include "sigmoid.h"

#define TILE 48 /* rows */
#ifdef __AVX512F__
#define ROWS 8
#else
#define ROWS 2 /* sixteen registers hold no more */
#endif
#define UNROLL _Pragma("GCC unroll 8")

/* Planes of `z`, the inputs of the activations. */
enum { UP, BEFORE, MIDDLE = BEFORE + 2, AFTER, N_PLANES = AFTER + 4 };

typedef struct {
    int64_t width, narrow;
    int64_t n_features, n_edges, n_chunks;
    const int64_t *chunk;    /* (n_chunks + 1,) first row of features of each share of the work; shares have no link in common */
    const int64_t *pair;     /* (n_edges,) row of features of each edge; NULL: features are of edges */
    const int64_t *link;     /* (n_features,) row of `scale` */
    const float *weights;    /* all parameters, in the order of `WEIGHTS`; forward, matrices are transposed */
    const float *features;   /* (n_features, width) */
    const float *scale;      /* (n_links, width) */
    float *z_message, *z_own; /* (n_features, width) */
    float *z_down;           /* (n_features, narrow) */
    float *messages;         /* (n_features, narrow) */
    const float *heard;      /* (n_edges, narrow) */
    float *z;                /* (N_PLANES, n_edges, width); forward, NULL keeps none */
    float *out;              /* (n_edges, width) */
    const float *grad;       /* (n_edges, width) of `out` */
    float *grad_heard;       /* (n_edges, narrow) */
    float *grad_around;      /* (n_edges, width), then (n_features, width): of features, along what goes around */
    float *grad_own;         /* the same: of the activation of `z_own` */
    const float *grad_messages; /* (n_features, narrow) */
    float *grad_features;    /* (n_features, width) */
    float *grad_scale;       /* (n_links, width), zero at first */
    float *grad_weights;     /* (n_chunks, number of parameters), zero at first */
} layer;

/* Where parameters begin. */
typedef struct {
    int64_t message, own, down, up, before, middle, after, total, step;
} places;

static places places_of(const layer *a) {
    const int64_t w = a->width, linear = w * w + w;
    places p = {.message = 0, .own = linear, .down = 2 * linear, .step = linear};
    p.up = p.down + w * a->narrow;
    p.before = p.up + w * a->narrow;
    p.middle = p.before + 2 * linear;
    p.after = p.middle + linear;
    p.total = p.after + 4 * linear;
    return p;
}

/* out[r][c] = sum over k of in[r * along + k * down] * w[k][c], after a bias or added to what is there. */
INLINE void block(const int C, const float *in, int64_t along, int64_t down, int64_t depth, const float *w, int64_t n,
                  const float *bias, int add, float *out) {
    vec sums[ROWS][2];
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int c = 0; c < C; c++)
            if (bias)
                sums[r][c] = *(const vec *)(bias + c * LANES);
            else if (add)
                sums[r][c] = *(const vec *)(out + r * n + c * LANES);
            else
                sums[r][c] = (vec){0};
    for (int64_t k = 0; k < depth; k++) {
        vec right[2];
        UNROLL for (int c = 0; c < C; c++) right[c] = *(const vec *)(w + k * n + c * LANES);
        UNROLL for (int r = 0; r < ROWS; r++) {
            const float left = in[r * along + k * down];
            UNROLL for (int c = 0; c < C; c++) sums[r][c] += left * right[c];
        }
    }
    UNROLL for (int r = 0; r < ROWS; r++)
        UNROLL for (int c = 0; c < C; c++) *(vec *)(out + r * n + c * LANES) = sums[r][c];
}

INLINE void blocks(const float *in, int64_t along, int64_t down, int64_t n_rows, int64_t depth, const float *w, int64_t n,
                   const float *bias, int add, float *out) {
    for (int64_t c = 0; c < n; c += 2 * LANES)
        for (int64_t r = 0; r < n_rows; r += ROWS)
            if (c + LANES < n)
                block(2, in + r * along, along, down, depth, w + c, n, bias ? bias + c : NULL, add, out + r * n + c);
            else
                block(1, in + r * along, along, down, depth, w + c, n, bias ? bias + c : NULL, add, out + r * n + c);
}

/* out (n_rows, n) = in (n_rows, depth) . w (depth, n); rows are filled up to whole blocks. */
static void product(const float *in, int64_t n_rows, int64_t depth, const float *w, int64_t n, const float *bias, int add,
                    float *out) {
    blocks(in, depth, 1, n_rows, depth, w, n, bias, add, out);
}

/* The gradients of a matrix (n_out, n_in), and of a bias behind it: those of its outputs, with its inputs. */
static void weigh(const float *grad, const float *in, int64_t n_rows, int64_t n_out, int64_t n_in, int bias, float *out) {
    blocks(grad, 1, n_out, n_out, n_rows, in, n_in, NULL, 1, out);
    if (!bias) return;
    out += n_out * n_in;
    for (int64_t c = 0; c < n_out; c += LANES) {
        vec sum = *(const vec *)(out + c);
        for (int64_t r = 0; r < n_rows; r++) sum += *(const vec *)(grad + r * n_out + c);
        *(vec *)(out + c) = sum;
    }
}

/* out = swish(z) + added; none where that is NULL. */
INLINE void activate(const float *z, const float *added, int64_t n, float *out) {
    for (int64_t c = 0; c < n; c += LANES) {
        const vec x = *(const vec *)(z + c);
        vec y = x * sigmoid(x);
        if (added) y += *(const vec *)(added + c);
        *(vec *)(out + c) = y;
    }
}

/* grad_z = grad * swish'(z); `out`, unless it is NULL, is the activation. */
INLINE void deactivate(const float *grad, const float *z, int64_t n, float *grad_z, float *out) {
    for (int64_t c = 0; c < n; c += LANES) {
        const vec x = *(const vec *)(z + c), s = sigmoid(x), y = x * s;
        *(vec *)(grad_z + c) = *(const vec *)(grad + c) * (s + y * (1.0f - s));
        if (out) *(vec *)(out + c) = y;
    }
}

static int64_t row_of(const layer *a, int64_t edge) { return a->pair ? a->pair[edge] : edge; }

static const float *plane(const layer *a, int which, int64_t first) {
    return a->z + (which * a->n_edges + first) * a->width;
}

static void keep(const layer *a, int which, int64_t first, int64_t n, const float *z) {
    if (a->z) memcpy((float *)plane(a, which, first), z, sizeof(float) * n * a->width);
}

/* e += swish(L swish(L e)) */
static void residual(const layer *a, int64_t place, int which, int64_t first, int64_t n, float *e, float *z, float *hidden) {
    const int64_t w = a->width, linear = w * w + w;
    const float *weights = a->weights + place;
    product(e, n, w, weights, w, weights + w * w, 0, z);
    keep(a, which, first, n, z);
    activate(z, NULL, n * w, hidden);
    product(hidden, n, w, weights + linear, w, weights + linear + w * w, 0, z);
    keep(a, which + 1, first, n, z);
    activate(z, e, n * w, e);
}

/* Rows of features: their messages, and what their edges say of themselves. */
static void messages(const layer *a, const places *p, int64_t first, int64_t n, float *scratch) {
    const int64_t w = a->width;
    float *x = scratch, *z = x + TILE * w, *y = z + TILE * w;
    memcpy(x, a->features + first * w, sizeof(float) * n * w);
    product(x, n, w, a->weights + p->own, w, a->weights + p->own + w * w, 0, z);
    memcpy(a->z_own + first * w, z, sizeof(float) * n * w);
    product(x, n, w, a->weights + p->message, w, a->weights + p->message + w * w, 0, z);
    if (a->z_message) memcpy(a->z_message + first * w, z, sizeof(float) * n * w);
    for (int64_t r = 0; r < n; r++) {
        const float *scale = a->scale + a->link[first + r] * w;
        activate(z + r * w, NULL, w, y + r * w);
        for (int64_t c = 0; c < w; c += LANES) *(vec *)(y + r * w + c) *= *(const vec *)(scale + c);
    }
    product(y, n, w, a->weights + p->down, a->narrow, NULL, 0, z);
    if (a->z_down) memcpy(a->z_down + first * a->narrow, z, sizeof(float) * n * a->narrow);
    activate(z, NULL, n * a->narrow, a->messages + first * a->narrow);
}

/* Edges: from what they heard to their new features. */
static void edges(const layer *a, const places *p, int64_t first, int64_t n, float *scratch) {
    const int64_t w = a->width;
    float *e = scratch, *z = e + TILE * w, *hidden = z + TILE * w;
    memcpy(hidden, a->heard + first * a->narrow, sizeof(float) * n * a->narrow);
    product(hidden, n, a->narrow, a->weights + p->up, w, NULL, 0, z);
    keep(a, UP, first, n, z);
    activate(z, NULL, n * w, e);
    for (int64_t r = 0; r < n; r++) activate(a->z_own + row_of(a, first + r) * w, e + r * w, w, e + r * w);
    residual(a, p->before, BEFORE, first, n, e, z, hidden);
    product(e, n, w, a->weights + p->middle, w, a->weights + p->middle + w * w, 0, z);
    keep(a, MIDDLE, first, n, z);
    for (int64_t r = 0; r < n; r++) activate(z + r * w, a->features + row_of(a, first + r) * w, w, e + r * w);
    residual(a, p->after, AFTER, first, n, e, z, hidden);
    residual(a, p->after + 2 * p->step, AFTER + 2, first, n, e, z, hidden);
    memcpy(a->out + first * w, e, sizeof(float) * n * w);
}

/* Turns `grad` of a residual block's output into that of its input `x`. */
static void residual_backward(const layer *a, int64_t place, int which, int64_t first, int64_t n, const float *x, float *grad,
                              float *grad_z, float *hidden, float *grad_hidden, float *grad_weights) {
    const int64_t w = a->width, linear = w * w + w;
    const float *weights = a->weights + place, *z = plane(a, which, first);
    deactivate(grad, plane(a, which + 1, first), n * w, grad_z, NULL);
    activate(z, NULL, n * w, hidden);
    weigh(grad_z, hidden, n, w, w, 1, grad_weights + place + linear);
    product(grad_z, n, w, weights + linear, w, NULL, 0, grad_hidden);
    deactivate(grad_hidden, z, n * w, grad_z, NULL);
    weigh(grad_z, x, n, w, w, 1, grad_weights + place);
    product(grad_z, n, w, weights, w, NULL, 1, grad);
}

static void edges_backward(const layer *a, const places *p, int64_t first, int64_t n, float *scratch, float *grad_weights) {
    const int64_t w = a->width, size = TILE * w;
    float *e_first = scratch, *e_before = e_first + size, *e_middle = e_before + size, *e_after = e_middle + size;
    float *grad = e_after + size, *grad_z = grad + size, *hidden = grad_z + size, *other = hidden + size;
    activate(plane(a, UP, first), NULL, n * w, e_first);
    for (int64_t r = 0; r < n; r++) {
        const int64_t row = row_of(a, first + r) * w;
        activate(a->z_own + row, e_first + r * w, w, e_first + r * w);
        activate(plane(a, MIDDLE, first + r), a->features + row, w, e_middle + r * w);
    }
    activate(plane(a, BEFORE + 1, first), e_first, n * w, e_before);
    activate(plane(a, AFTER + 1, first), e_middle, n * w, e_after);
    memcpy(grad, a->grad + first * w, sizeof(float) * n * w);
    residual_backward(a, p->after + 2 * p->step, AFTER + 2, first, n, e_after, grad, grad_z, hidden, other, grad_weights);
    residual_backward(a, p->after, AFTER, first, n, e_middle, grad, grad_z, hidden, other, grad_weights);
    memcpy(a->grad_around + first * w, grad, sizeof(float) * n * w);
    deactivate(grad, plane(a, MIDDLE, first), n * w, grad_z, NULL);
    weigh(grad_z, e_before, n, w, w, 1, grad_weights + p->middle);
    product(grad_z, n, w, a->weights + p->middle, w, NULL, 0, grad);
    residual_backward(a, p->before, BEFORE, first, n, e_first, grad, grad_z, hidden, other, grad_weights);
    memcpy(a->grad_own + first * w, grad, sizeof(float) * n * w);
    deactivate(grad, plane(a, UP, first), n * w, grad_z, NULL);
    weigh(grad_z, a->heard + first * a->narrow, n, w, a->narrow, 0, grad_weights + p->up);
    product(grad_z, n, w, a->weights + p->up, a->narrow, NULL, 0, hidden);
    memcpy(a->grad_heard + first * a->narrow, hidden, sizeof(float) * n * a->narrow);
}

static void messages_backward(const layer *a, const places *p, int64_t first, int64_t n, float *scratch, float *grad_weights) {
    const int64_t w = a->width, narrow = a->narrow, size = TILE * w;
    const float *x = a->features + first * w;
    float *grad = scratch, *grad_z = grad + size, *y = grad_z + size, *scaled = y + size, *other = scaled + size;
    memcpy(grad, a->grad_around + first * w, sizeof(float) * n * w);
    deactivate(a->grad_own + first * w, a->z_own + first * w, n * w, grad_z, NULL);
    weigh(grad_z, x, n, w, w, 1, grad_weights + p->own);
    product(grad_z, n, w, a->weights + p->own, w, NULL, 1, grad);
    for (int64_t r = 0; r < n; r++) {
        const float *scale = a->scale + a->link[first + r] * w;
        activate(a->z_message + (first + r) * w, NULL, w, y + r * w);
        for (int64_t c = 0; c < w; c += LANES)
            *(vec *)(scaled + r * w + c) = *(const vec *)(y + r * w + c) * *(const vec *)(scale + c);
    }
    deactivate(a->grad_messages + first * narrow, a->z_down + first * narrow, n * narrow, grad_z, NULL);
    weigh(grad_z, scaled, n, narrow, w, 0, grad_weights + p->down);
    product(grad_z, n, narrow, a->weights + p->down, w, NULL, 0, other);
    for (int64_t r = 0; r < n; r++) {
        const int64_t at = a->link[first + r] * w;
        for (int64_t c = 0; c < w; c += LANES) {
            vec *grad_scaled = (vec *)(other + r * w + c);
            *(vec *)(a->grad_scale + at + c) += *grad_scaled * *(const vec *)(y + r * w + c);
            *grad_scaled *= *(const vec *)(a->scale + at + c);
        }
    }
    deactivate(other, a->z_message + first * w, n * w, grad_z, NULL);
    weigh(grad_z, x, n, w, w, 1, grad_weights + p->message);
    product(grad_z, n, w, a->weights + p->message, w, NULL, 1, grad);
    memcpy(a->grad_features + first * w, grad, sizeof(float) * n * w);
}

INLINE int chunks(const layer *a, int64_t first, int64_t last, int of_edges, int backward) {
    const places p = places_of(a);
    float *scratch = NULL;
    if (posix_memalign((void **)&scratch, 64, sizeof(float) * 8 * TILE * a->width)) return 1;
    /* Rows that fill a block up are computed with, though nobody reads what comes of them. */
    memset(scratch, 0, sizeof(float) * 8 * TILE * a->width);
    for (int64_t c = first; c < last; c++) {
        const int64_t begin = of_edges ? a->n_edges * c / a->n_chunks : a->chunk[c];
        const int64_t end = of_edges ? a->n_edges * (c + 1) / a->n_chunks : a->chunk[c + 1];
        float *grad_weights = backward ? a->grad_weights + c * p.total : NULL;
        for (int64_t row = begin; row < end; row += TILE) {
            const int64_t n = end - row < TILE ? end - row : TILE;
            if (backward && of_edges)
                edges_backward(a, &p, row, n, scratch, grad_weights);
            else if (backward)
                messages_backward(a, &p, row, n, scratch, grad_weights);
            else if (of_edges)
                edges(a, &p, row, n, scratch);
            else
                messages(a, &p, row, n, scratch);
        }
    }
    free(scratch);
    return 0;
}

/* All return 0, or 1 where no memory was left. Width and narrow width must be multiples of 16, the latter no larger. */
int fused_messages(const layer *a, int64_t first, int64_t last) { return chunks(a, first, last, 0, 0); }
int fused_edges(const layer *a, int64_t first, int64_t last) { return chunks(a, first, last, 1, 0); }
int fused_edges_backward(const layer *a, int64_t first, int64_t last) { return chunks(a, first, last, 1, 1); }
int fused_messages_backward(const layer *a, int64_t first, int64_t last) { return chunks(a, first, last, 0, 1); }
