/* The activation x * sigmoid(x) of edge features with what surrounds it, in one pass over memory, forward and backward:
   a residual is added, or a row is scaled by the weights of its link. Features are float32 or bfloat16, the arithmetic is
   float32. */

#include <stdint.h>
#include <string.h>

#define LANES 16
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t hvec __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

typedef struct {
    int64_t width, bfloat16;
    const int64_t *item_start; /* (n_items + 1,) first row of each item of parallel work; NULL: items are rows */
    const void *z;             /* (n_rows, width) */
    const void *added;         /* (n_rows, width), added to the activation; NULL for none */
    const float *scale;        /* (n_links, width), multiplies the activation; NULL for none */
    const int64_t *link;       /* (n_rows,), row of `scale`; items share none */
    const void *grad;          /* (n_rows, width), backward: of the output */
    void *out;                 /* (n_rows, width); NULL backward where nobody wants it */
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

/* exp of |x| <= 87, to two units in the last place. Cephes' polynomial. */
INLINE vec exponential(vec x) {
    const vec magic = (vec){0} + 12582912.0f;
    const vec n = (x * 1.44269504f + magic) - magic;
    const vec f = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    vec p = f * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * f + 8.3334519073e-3f;
    p = p * f + 4.1665795894e-2f;
    p = p * f + 1.6666665459e-1f;
    p = p * f + 5.0000001201e-1f;
    p = p * f * f + f + 1.0f;
    return (vec)((ivec)p + (__builtin_convertvector(n, ivec) << 23));
}

INLINE vec sigmoid(vec x) {
    const vec bound = (vec){0} + 87.0f;
    const ivec low = (ivec)(x > -bound);
    vec y = (vec)((low & (ivec)x) | (~low & (ivec)-bound));
    const ivec high = (ivec)(y < bound);
    y = (vec)((high & (ivec)y) | (~high & (ivec)bound));
    return 1.0f / (1.0f + exponential(-y));
}

INLINE void rows(const int half, const int backward, const swish *a, int64_t first, int64_t last) {
    for (int64_t row = first; row < last; row++)
        for (int64_t c = 0; c < a->width; c += LANES) {
            const int64_t at = row * a->width + c, weight = a->scale ? a->link[row] * a->width + c : 0;
            const vec z = load(half, a->z, at), s = sigmoid(z), y = z * s;
            if (backward) {
                const vec grad = load(half, a->grad, at);
                vec grad_y = grad;
                if (a->scale) {
                    *(vec *)(a->grad_scale + weight) += grad * y;
                    grad_y = grad * *(const vec *)(a->scale + weight);
                }
                store(half, a->grad_z, at, grad_y * (s + y * (1.0f - s)));
            }
            if (!a->out) continue;
            vec out = y;
            if (a->scale) out *= *(const vec *)(a->scale + weight);
            if (a->added) out += load(half, a->added, at);
            store(half, a->out, at, out);
        }
}

INLINE int items(const int backward, const swish *a, int64_t first, int64_t last) {
    if (a->item_start) first = a->item_start[first], last = a->item_start[last];
    if (a->bfloat16)
        rows(1, backward, a, first, last);
    else
        rows(0, backward, a, first, last);
    return 0;
}

/* Both return 0. The width must be a multiple of 16. */
int swish_forward(const swish *a, int64_t first, int64_t last) { return items(0, a, first, last); }
int swish_backward(const swish *a, int64_t first, int64_t last) { return items(1, a, first, last); }
