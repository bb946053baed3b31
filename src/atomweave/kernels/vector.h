/* Vectors of sixteen numbers, and their exponential. Where the machine has no such registers, the compiler takes several smaller
   ones. */

#ifndef VECTOR_H
#define VECTOR_H

#include <stdint.h>

#define LANES 16
#define INLINE static inline __attribute__((always_inline))

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t ivec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t hvec __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

INLINE vec maximum(vec a, vec b) {
    const ivec choose = (ivec)(a > b);
    return (vec)((choose & (ivec)a) | (~choose & (ivec)b));
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

/* exp of x <= 0; below -87 it stays at exp(-87). */
INLINE vec exponential_of_negative(vec x) {
    return exponential(maximum(x, (vec){0} - 87.0f));
}

#endif
