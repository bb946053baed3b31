/* `log_integral` of `geometry/sphere.py`: integrals of exponentials of harmonic series over a grid that is symmetric under
   n -> -n, in float32.

   Harmonics of even degree agree on opposite points, those of odd degree differ in sign: both values cost one sum over the
   even and one over the odd harmonics at half of the points. Four signals pass at a time; their values never leave the
   second-level cache. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vector.h"

#define ROWS 4
#define MAX_TILE 5
#define UNROLL _Pragma("GCC unroll 8")

typedef struct {
    int64_t n_rows, n_even, n_odd, n_points; /* points of one half, a multiple of 2 * LANES */
    const float *coefficients; /* (n_rows, n_even + n_odd), even degrees first */
    const float *harmonics;    /* (n_even + n_odd, n_points), even degrees first */
    const float *weights;      /* (n_points,), zero where filled up */
    float *logs;               /* (n_rows,) */
    float *means;              /* (n_rows, n_even + n_odd) of the harmonics under the density; may be NULL */
} log_integral;

INLINE float largest(vec v) {
    float out = v[0];
    UNROLL for (int i = 1; i < LANES; i++) out = v[i] > out ? v[i] : out;
    return out;
}

INLINE float total(vec v) {
    float out = 0;
    UNROLL for (int i = 0; i < LANES; i++) out += v[i];
    return out;
}

/* Adds a run of harmonics at two vectors of points, for all rows at hand. */
INLINE void evaluate(int64_t n, const float *harmonics, int64_t n_points, const float *coefficients, int64_t stride,
                     vec out[ROWS][2]) {
    UNROLL for (int r = 0; r < ROWS; r++) out[r][0] = out[r][1] = (vec){0};
    for (int64_t h = 0; h < n; h++) {
        const vec first = *(const vec *)(harmonics + h * n_points);
        const vec second = *(const vec *)(harmonics + h * n_points + LANES);
        UNROLL for (int r = 0; r < ROWS; r++) {
            out[r][0] += coefficients[r * stride + h] * first;
            out[r][1] += coefficients[r * stride + h] * second;
        }
    }
}

/* means[row, h] = sum over points of harmonics[h] * values[row], for `T` harmonics. */
INLINE void moments(const int T, const float *harmonics, int64_t n_points, const float *values, float *means,
                    int64_t stride) {
    vec acc[ROWS][MAX_TILE];
    UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int t = 0; t < T; t++) acc[r][t] = (vec){0};
    for (int64_t g = 0; g < n_points; g += LANES) {
        vec v[ROWS];
        UNROLL for (int r = 0; r < ROWS; r++) v[r] = *(const vec *)(values + r * n_points + g);
        UNROLL for (int t = 0; t < T; t++) {
            const vec y = *(const vec *)(harmonics + t * n_points + g);
            UNROLL for (int r = 0; r < ROWS; r++) acc[r][t] += y * v[r];
        }
    }
    UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int t = 0; t < T; t++) means[r * stride + t] = total(acc[r][t]);
}

static void all_moments(int64_t n, const float *harmonics, int64_t n_points, const float *values, float *means,
                        int64_t stride) {
    for (int64_t h = 0; h < n; h += MAX_TILE) {
        const float *y = harmonics + h * n_points;
        switch (n - h) {
            case 1: moments(1, y, n_points, values, means + h, stride); break;
            case 2: moments(2, y, n_points, values, means + h, stride); break;
            case 3: moments(3, y, n_points, values, means + h, stride); break;
            case 4: moments(4, y, n_points, values, means + h, stride); break;
            default: moments(5, y, n_points, values, means + h, stride);
        }
    }
}

/* Rows first..last; returns 0, or 1 where no memory was left. */
int log_integral_rows(const log_integral *a, int64_t first, int64_t last) {
    const int64_t n_harmonics = a->n_even + a->n_odd, n = a->n_points;
    float *even = NULL;
    if (posix_memalign((void **)&even, 64, sizeof(float) * ROWS * (2 * n + 2 * n_harmonics))) return 1;
    float *odd = even + ROWS * n, *coefficients = odd + ROWS * n, *means = coefficients + ROWS * n_harmonics;
    for (int64_t row = first; row < last; row += ROWS) {
        const int64_t n_real = last - row < ROWS ? last - row : ROWS;
        memset(coefficients, 0, sizeof(float) * ROWS * n_harmonics);
        memcpy(coefficients, a->coefficients + row * n_harmonics, sizeof(float) * n_real * n_harmonics);
        vec peaks[ROWS];
        for (int r = 0; r < ROWS; r++) peaks[r] = (vec){0} - INFINITY;
        for (int64_t g = 0; g < n; g += 2 * LANES) {
            vec e[ROWS][2], o[ROWS][2];
            evaluate(a->n_even, a->harmonics + g, n, coefficients, n_harmonics, e);
            evaluate(a->n_odd, a->harmonics + a->n_even * n + g, n, coefficients + a->n_even, n_harmonics, o);
            UNROLL for (int r = 0; r < ROWS; r++) UNROLL for (int b = 0; b < 2; b++) {
                *(vec *)(even + r * n + g + b * LANES) = e[r][b];
                *(vec *)(odd + r * n + g + b * LANES) = o[r][b];
                peaks[r] = maximum(peaks[r], maximum(e[r][b] + o[r][b], e[r][b] - o[r][b]));
            }
        }
        for (int64_t r = 0; r < n_real; r++) {
            const float peak = largest(peaks[r]);
            vec sum = {0};
            for (int64_t g = 0; g < n; g += LANES) {
                vec *e = (vec *)(even + r * n + g), *o = (vec *)(odd + r * n + g);
                const vec weight = *(const vec *)(a->weights + g);
                const vec here = exponential_of_negative(*e + *o - peak), opposite = exponential_of_negative(*e - *o - peak);
                *e = weight * (here + opposite);
                *o = weight * (here - opposite);
                sum += *e;
            }
            const float integral = total(sum);
            a->logs[row + r] = peak + logf(integral);
            means[r] = integral;
        }
        if (!a->means) continue;
        float integrals[ROWS];
        memcpy(integrals, means, sizeof integrals);
        all_moments(a->n_even, a->harmonics, n, even, means, n_harmonics);
        all_moments(a->n_odd, a->harmonics + a->n_even * n, n, odd, means + a->n_even, n_harmonics);
        for (int64_t r = 0; r < n_real; r++)
            for (int64_t h = 0; h < n_harmonics; h++)
                a->means[(row + r) * n_harmonics + h] = means[r * n_harmonics + h] / integrals[r];
    }
    free(even);
    return 0;
}
