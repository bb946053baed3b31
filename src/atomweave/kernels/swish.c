/* The activation x * sigmoid(x) of edge features with what surrounds it, in one pass over memory, forward and backward:
   a residual is added, or a row is scaled by the weights of its link. Features are float32 or bfloat16, the arithmetic is
   float32. */

#include <stdint.h>
#ifdef __AVX512F__
#include <immintrin.h>
#endif

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

#ifdef __AVX512F__

/* To one unit in the last place or two: a reciprocal by Newton's step, and an exponential that needs no upper bound. */
INLINE vec sigmoid(vec x) {
    const __m512 y = _mm512_max_ps(_mm512_set1_ps(-87.0f), (__m512)x); /* what is no number passes */
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(y, _mm512_set1_ps(-1.44269504f)), 8);
    __m512 f = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), -y);
    f = _mm512_fmadd_ps(n, _mm512_set1_ps(2.12194440e-4f), f);
    __m512 p = _mm512_fmadd_ps(f, _mm512_set1_ps(1.3981999507e-3f), _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, f, _mm512_set1_ps(5.0000001201e-1f));
    p = _mm512_fmadd_ps(_mm512_mul_ps(p, f), f, _mm512_add_ps(f, _mm512_set1_ps(1.0f)));
    const __m512 d = _mm512_add_ps(_mm512_set1_ps(1.0f), _mm512_scalef_ps(p, n));
    const __m512 r = _mm512_rcp14_ps(d);
    return (vec)_mm512_mul_ps(r, _mm512_fnmadd_ps(d, r, _mm512_set1_ps(2.0f)));
}

#else

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

#endif

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
