/* `draw_point` of `models/heads/angular.py`: one point of a fine product grid, drawn from a mixture of exponentials of harmonic
   series, in float32.

   On a ring of equal polar angle a series of harmonics is a Fourier series in the azimuth, so that a point costs 2 lmax + 1
   products instead of (lmax + 1)^2. Only one sum a ring is kept; the ring that is drawn is evaluated again. */

#include <math.h>
#include <stdlib.h>

#include "vector.h"

#define UNROLL _Pragma("GCC unroll 16")

typedef struct {
    int64_t n_rows, channels, n_rings, n_orders, n_azimuths; /* n_azimuths filled up to a multiple of LANES */
    const float *series;       /* (n_rows, channels, n_rings, n_orders) Fourier coefficients */
    const float *waves;        /* (n_orders, n_azimuths) */
    const float *real;         /* (n_azimuths,) 1, or 0 where filled up */
    const float *ring_weights; /* (n_rings,) */
    const double *uniforms;    /* (n_rows,) in (0, 1) */
    int64_t *ring, *azimuth;   /* (n_rows,) the points drawn */
} point_draw;

INLINE vec values(const point_draw *d, const float *series, int64_t azimuth) {
    vec sum = {0};
    for (int64_t order = 0; order < d->n_orders; order++)
        sum += series[order] * *(const vec *)(d->waves + order * d->n_azimuths + azimuth);
    return sum;
}

/* The mass of LANES points of a ring, all channels together, up to the weight of the ring. */
INLINE vec mass(const point_draw *d, const float *series, int64_t azimuth, float peak) {
    vec sum = {0};
    for (int64_t channel = 0; channel < d->channels; channel++)
        sum += exponential_of_negative(values(d, series + channel * d->n_rings * d->n_orders, azimuth) - peak);
    return sum * *(const vec *)(d->real + azimuth);
}

/* Rows first..last; returns 0, or 1 where no memory was left. */
int draw_points(const point_draw *d, int64_t first, int64_t last) {
    double *rings = malloc(sizeof(double) * d->n_rings);
    if (!rings) return 1;
    for (int64_t row = first; row < last; row++) {
        const float *series = d->series + row * d->channels * d->n_rings * d->n_orders;
        vec peaks = (vec){0} - INFINITY;
        for (int64_t ring = 0; ring < d->channels * d->n_rings; ring++)
            for (int64_t azimuth = 0; azimuth < d->n_azimuths; azimuth += LANES)
                peaks = maximum(peaks, values(d, series + ring * d->n_orders, azimuth));
        float peak = peaks[0];
        for (int i = 1; i < LANES; i++) peak = peaks[i] > peak ? peaks[i] : peak;
        double total = 0;
        for (int64_t ring = 0; ring < d->n_rings; ring++) {
            vec sum = {0};
            for (int64_t azimuth = 0; azimuth < d->n_azimuths; azimuth += LANES)
                sum += mass(d, series + ring * d->n_orders, azimuth, peak);
            double all = 0;
            for (int i = 0; i < LANES; i++) all += sum[i];
            rings[ring] = all * d->ring_weights[ring];
            total += rings[ring];
        }
        double wanted = d->uniforms[row] * total;
        int64_t ring = 0;
        while (ring < d->n_rings - 1 && wanted >= rings[ring]) wanted -= rings[ring++];
        wanted /= d->ring_weights[ring];
        int64_t drawn = 0; /* rounding may lead past the end: then the last point that has mass */
        for (int64_t azimuth = 0; azimuth < d->n_azimuths && wanted >= 0; azimuth += LANES) {
            const vec here = mass(d, series + ring * d->n_orders, azimuth, peak);
            for (int i = 0; i < LANES && wanted >= 0; i++) {
                if (here[i] > 0) drawn = azimuth + i;
                wanted -= here[i];
            }
        }
        d->ring[row] = ring;
        d->azimuth[row] = drawn;
    }
    free(rings);
    return 0;
}
