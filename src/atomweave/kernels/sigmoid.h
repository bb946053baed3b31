/* The sigmoid of vectors. */

#ifdef __AVX512F__
#include <immintrin.h>
#endif

#include "vector.h"

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

INLINE vec sigmoid(vec x) {
    const vec bound = (vec){0} + 87.0f;
    const ivec low = (ivec)(x > -bound);
    vec y = (vec)((low & (ivec)x) | (~low & (ivec)-bound));
    const ivec high = (ivec)(y < bound);
    y = (vec)((high & (ivec)y) | (~high & (ivec)bound));
    return 1.0f / (1.0f + exponential(-y));
}

#endif
