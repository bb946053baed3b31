/* Attention with pair features of `models/embedders/causal.py`, forward and backward, in one pass over each row.

   A row sees the first `extent` atoms of its molecule from one frame; what lies beyond is never read. With eight heads a
   vector holds one number a head, so that logits, softmax and gradients of all heads go side by side without a sum across
   lanes; queries, keys and values are turned that way when they are read: number d of head h stands at 8 d + h. Features
   are float32 or bfloat16, the arithmetic is float32. A molecule is the unit of parallel work. */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HEADS 8
#define LANES 16
#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

typedef float vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t uvec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint16_t hvec __attribute__((vector_size(2 * LANES), aligned(2), may_alias));
typedef float heads __attribute__((vector_size(4 * HEADS), aligned(4), may_alias));
typedef int32_t iheads __attribute__((vector_size(4 * HEADS), aligned(4), may_alias));
typedef uint32_t uheads __attribute__((vector_size(4 * HEADS), aligned(4), may_alias));
typedef uint16_t hheads __attribute__((vector_size(2 * HEADS), aligned(2), may_alias));

typedef struct {
    int64_t n_rows, n_frames, n_atoms;
    int64_t depth;         /* numbers a head: width = HEADS * depth */
    int64_t n_pair;        /* pair features, a multiple of LANES */
    int64_t n_states;      /* numbers that a row knows of an atom beside; may be 0 */
    int64_t bias_stride;   /* from the biases of one atom to those of the next */
    int64_t bfloat16;
    const void *query;     /* (n_molecules, n_rows, width) */
    const void *key_value; /* (n_molecules, n_atoms, 2 * width) */
    const void *bias;      /* (n_molecules, n_frames, n_atoms) with `bias_stride`, HEADS each */
    const void *pairs;     /* (n_molecules, n_frames, n_atoms, n_pair) */
    const void *states;    /* (n_molecules, n_rows, n_atoms, n_states) */
    const float *state_bias; /* (n_states, HEADS) */
    const int64_t *frame;  /* (n_molecules, n_rows); NULL: row i looks from frame i */
    const int64_t *extent; /* (n_molecules, n_rows), at least 1 */
    float *weights;        /* (n_molecules, n_rows, n_atoms, HEADS), written up to the extent */
    void *out;             /* (n_molecules, n_rows, width + HEADS * (n_pair + n_states)) */
    const void *grad;      /* of `out` */
    void *grad_query, *grad_key_value, *grad_pairs; /* as the inputs */
    void *grad_bias;       /* (n_molecules, n_frames, n_atoms, HEADS) */
    float *grad_state_bias; /* (n_molecules, n_states, HEADS) */
} attention;

/* Room for one molecule at a time. */
typedef struct {
    float *key, *value, *grad_key, *grad_value;  /* (n_atoms, depth, HEADS) */
    float *query, *turned;                       /* (depth, HEADS) */
    float *logits;                               /* (n_atoms, HEADS) */
    float *seen;                                 /* (n_pair + n_states, HEADS) */
    float *pair;                                 /* (n_pair,) */
    float *grad_pairs, *grad_bias;               /* (n_frames, n_atoms, n_pair), (n_frames, n_atoms, HEADS) */
} workspace;

INLINE float load_one(const int half, const void *x, int64_t at) {
    if (!half) return ((const float *)x)[at];
    const uint32_t bits = (uint32_t)((const uint16_t *)x)[at] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

INLINE void store_one(const int half, void *x, int64_t at, float value) {
    if (!half) {
        ((float *)x)[at] = value;
        return;
    }
    uint32_t bits; /* to the nearest, ties to even */
    memcpy(&bits, &value, sizeof bits);
    ((uint16_t *)x)[at] = (uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

INLINE vec load(const int half, const void *x, int64_t at) {
    if (!half) return *(const vec *)((const float *)x + at);
    return (vec)(__builtin_convertvector(*(const hvec *)((const uint16_t *)x + at), uvec) << 16);
}

INLINE heads load_heads(const int half, const void *x, int64_t at) {
    if (!half) return *(const heads *)((const float *)x + at);
    return (heads)(__builtin_convertvector(*(const hheads *)((const uint16_t *)x + at), uheads) << 16);
}

INLINE void store_heads(const int half, void *x, int64_t at, heads value) {
    if (!half) {
        *(heads *)((float *)x + at) = value;
        return;
    }
    const uheads bits = (uheads)value;
    *(hheads *)((uint16_t *)x + at) = __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, hheads);
}

/* exp of x <= 0, to two units in the last place; 0 where it is below 1e-38. Cephes' polynomial. */
INLINE heads exponential(heads x) {
    const heads magic = (heads){0} + 12582912.0f, bound = (heads){0} - 87.0f;
    const iheads inside = (iheads)(x > bound);
    x = (heads)((inside & (iheads)x) | (~inside & (iheads)bound));
    const heads n = (x * 1.44269504f + magic) - magic;
    const heads f = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    heads p = f * 1.9875691500e-4f + 1.3981999507e-3f;
    p = p * f + 8.3334519073e-3f;
    p = p * f + 4.1665795894e-2f;
    p = p * f + 1.6666665459e-1f;
    p = p * f + 5.0000001201e-1f;
    p = p * f * f + f + 1.0f;
    return (heads)(((iheads)p + (__builtin_convertvector(n, iheads) << 23)) & inside);
}

/* Heads first to heads last: `n` numbers of each head, `stride` from one head's to the next's. */
INLINE void turn(const int half, const void *x, int64_t at, int64_t n, int64_t stride, float scale, float *turned) {
    for (int64_t d = 0; d < n; d++)
        for (int64_t h = 0; h < HEADS; h++) turned[d * HEADS + h] = scale * load_one(half, x, at + h * stride + d);
}

INLINE void turn_back(const int half, const float *turned, int64_t n, float scale, void *x, int64_t at) {
    for (int64_t h = 0; h < HEADS; h++)
        for (int64_t d = 0; d < n; d++) store_one(half, x, at + h * n + d, scale * turned[d * HEADS + h]);
}

INLINE heads dot(const float *x, const float *y, int64_t n) {
    heads even = {0}, odd = {0};
    int64_t d = 0;
    for (; d + 1 < n; d += 2) {
        even += *(const heads *)(x + d * HEADS) * *(const heads *)(y + d * HEADS);
        odd += *(const heads *)(x + (d + 1) * HEADS) * *(const heads *)(y + (d + 1) * HEADS);
    }
    if (d < n) even += *(const heads *)(x + d * HEADS) * *(const heads *)(y + d * HEADS);
    return even + odd;
}

/* y += x times one number a head. */
INLINE void add_scaled(float *y, const float *x, heads scale, int64_t n) {
    for (int64_t d = 0; d < n; d++) *(heads *)(y + d * HEADS) += *(const heads *)(x + d * HEADS) * scale;
}

INLINE void read_molecule(const int half, const attention *a, const workspace *w, int64_t molecule) {
    const int64_t width = HEADS * a->depth;
    for (int64_t atom = 0; atom < a->n_atoms; atom++) {
        const int64_t at = (molecule * a->n_atoms + atom) * 2 * width;
        turn(half, a->key_value, at, a->depth, a->depth, 1.0f, w->key + atom * width);
        turn(half, a->key_value, at + width, a->depth, a->depth, 1.0f, w->value + atom * width);
    }
}

INLINE void forward_row(const int half, const int64_t n_pair, const attention *a, const workspace *w, int64_t molecule,
                        int64_t row) {
    const int64_t width = HEADS * a->depth, n_states = a->n_states, at = molecule * a->n_rows + row;
    const int64_t extent = a->extent[at], frame = molecule * a->n_frames + (a->frame ? a->frame[at] : row);
    const int64_t wide = n_pair + n_states;
    float *weights = a->weights + at * a->n_atoms * HEADS;
    turn(half, a->query, at * width, a->depth, a->depth, 1.0f / sqrtf((float)a->depth), w->query);
    heads most = (heads){0} - INFINITY, sum = {0};
    for (int64_t j = 0; j < extent; j++) {
        heads logit = dot(w->query, w->key + j * width, a->depth);
        logit += load_heads(half, a->bias, (frame * a->n_atoms + j) * a->bias_stride);
        for (int64_t s = 0; s < n_states; s++)
            logit += load_one(half, a->states, (at * a->n_atoms + j) * n_states + s)
                     * *(const heads *)(a->state_bias + s * HEADS);
        *(heads *)(w->logits + j * HEADS) = logit;
        const iheads larger = (iheads)(logit > most);
        most = (heads)((larger & (iheads)logit) | (~larger & (iheads)most));
    }
    for (int64_t j = 0; j < extent; j++) {
        const heads weight = exponential(*(const heads *)(w->logits + j * HEADS) - most);
        *(heads *)(weights + j * HEADS) = weight;
        sum += weight;
    }
    const heads share = 1.0f / sum;
    memset(w->turned, 0, width * sizeof(float));
    vec seen[HEADS][3] = {0}; /* n_pair is at most 3 LANES */
    heads state_seen[4] = {0};
    for (int64_t j = 0; j < extent; j++) {
        const heads weight = *(const heads *)(weights + j * HEADS) * share;
        *(heads *)(weights + j * HEADS) = weight;
        add_scaled(w->turned, w->value + j * width, weight, a->depth);
        vec pair[3];
        UNROLL for (int64_t c = 0; c < n_pair / LANES; c++)
            pair[c] = load(half, a->pairs, (frame * a->n_atoms + j) * n_pair + c * LANES);
        UNROLL for (int64_t h = 0; h < HEADS; h++)
            UNROLL for (int64_t c = 0; c < n_pair / LANES; c++) seen[h][c] += weight[h] * pair[c];
        for (int64_t s = 0; s < n_states; s++)
            state_seen[s] += load_one(half, a->states, (at * a->n_atoms + j) * n_states + s) * weight;
    }
    const int64_t out = at * (width + HEADS * wide);
    turn_back(half, w->turned, a->depth, 1.0f, a->out, out);
    for (int64_t h = 0; h < HEADS; h++) {
        const int64_t here = out + width + h * wide;
        for (int64_t c = 0; c < n_pair; c += HEADS)
            store_heads(half, a->out, here + c, *(const heads *)((const float *)seen[h] + c));
        for (int64_t s = 0; s < n_states; s++) store_one(half, a->out, here + n_pair + s, state_seen[s][h]);
    }
}

INLINE void backward_row(const int half, const int64_t n_pair, const attention *a, const workspace *w, int64_t molecule,
                         int64_t row) {
    const int64_t width = HEADS * a->depth, n_states = a->n_states, at = molecule * a->n_rows + row;
    const int64_t extent = a->extent[at], frame = a->frame ? a->frame[at] : row, wide = n_pair + n_states;
    const int64_t pairs = ((molecule * a->n_frames + frame) * a->n_atoms) * n_pair;
    const int64_t grad = at * (width + HEADS * wide), states = at * a->n_atoms * n_states;
    const float scale = 1.0f / sqrtf((float)a->depth);
    const float *weights = a->weights + at * a->n_atoms * HEADS;
    float *grad_state_bias = a->grad_state_bias + molecule * n_states * HEADS;
    turn(half, a->query, at * width, a->depth, a->depth, scale, w->query);
    turn(half, a->grad, grad, a->depth, a->depth, 1.0f, w->turned); /* of the values */
    turn(half, a->grad, grad + width, wide, wide, 1.0f, w->seen);
    vec seen[HEADS][3];
    UNROLL for (int64_t h = 0; h < HEADS; h++)
        UNROLL for (int64_t c = 0; c < n_pair / LANES; c++)
            seen[h][c] = load(half, a->grad, grad + width + h * wide + c * LANES);
    heads mean = {0}; /* of the weights' gradients, by the weights */
    for (int64_t j = 0; j < extent; j++) {
        const heads weight = *(const heads *)(weights + j * HEADS);
        heads even = dot(w->turned, w->value + j * width, a->depth), odd = {0};
        for (int64_t c = 0; c < n_pair; c += LANES) *(vec *)(w->pair + c) = load(half, a->pairs, pairs + j * n_pair + c);
        UNROLL for (int64_t c = 0; c < n_pair; c += 2) {
            even += w->pair[c] * *(const heads *)(w->seen + c * HEADS);
            odd += w->pair[c + 1] * *(const heads *)(w->seen + (c + 1) * HEADS);
        }
        for (int64_t s = 0; s < n_states; s++)
            odd += load_one(half, a->states, states + j * n_states + s) * *(const heads *)(w->seen + (n_pair + s) * HEADS);
        even += odd;
        *(heads *)(w->logits + j * HEADS) = even;
        mean += weight * even;
        float *grad_pairs = w->grad_pairs + (frame * a->n_atoms + j) * n_pair;
        vec sums[3] = {0};
        UNROLL for (int64_t h = 0; h < HEADS; h++)
            UNROLL for (int64_t c = 0; c < n_pair / LANES; c++) sums[c] += weight[h] * seen[h][c];
        UNROLL for (int64_t c = 0; c < n_pair / LANES; c++) *(vec *)(grad_pairs + c * LANES) += sums[c];
        add_scaled(w->grad_value + j * width, w->turned, weight, a->depth);
    }
    memset(w->turned, 0, width * sizeof(float));
    for (int64_t j = 0; j < extent; j++) {
        const heads logit = *(const heads *)(weights + j * HEADS) * (*(const heads *)(w->logits + j * HEADS) - mean);
        add_scaled(w->turned, w->key + j * width, logit, a->depth);
        add_scaled(w->grad_key + j * width, w->query, logit, a->depth);
        *(heads *)(w->grad_bias + (frame * a->n_atoms + j) * HEADS) += logit;
        for (int64_t s = 0; s < n_states; s++)
            *(heads *)(grad_state_bias + s * HEADS) += load_one(half, a->states, states + j * n_states + s) * logit;
    }
    turn_back(half, w->turned, a->depth, scale, a->grad_query, at * width);
}

INLINE void write_gradients(const int half, const attention *a, const workspace *w, int64_t molecule) {
    const int64_t width = HEADS * a->depth, n = a->n_frames * a->n_atoms;
    for (int64_t atom = 0; atom < a->n_atoms; atom++) {
        const int64_t at = (molecule * a->n_atoms + atom) * 2 * width;
        turn_back(half, w->grad_key + atom * width, a->depth, 1.0f, a->grad_key_value, at);
        turn_back(half, w->grad_value + atom * width, a->depth, 1.0f, a->grad_key_value, at + width);
    }
    for (int64_t i = 0; i < n * a->n_pair; i += HEADS)
        store_heads(half, a->grad_pairs, molecule * n * a->n_pair + i, *(const heads *)(w->grad_pairs + i));
    for (int64_t i = 0; i < n * HEADS; i += HEADS)
        store_heads(half, a->grad_bias, molecule * n * HEADS + i, *(const heads *)(w->grad_bias + i));
}

INLINE void molecules(const int half, const int64_t n_pair, const int backward, const attention *a, const workspace *w,
                      int64_t first, int64_t last) {
    const int64_t width = HEADS * a->depth, n = a->n_frames * a->n_atoms;
    for (int64_t molecule = first; molecule < last; molecule++) {
        read_molecule(half, a, w, molecule);
        if (!backward) {
            for (int64_t row = 0; row < a->n_rows; row++) forward_row(half, n_pair, a, w, molecule, row);
            continue;
        }
        memset(w->grad_key, 0, a->n_atoms * width * sizeof(float));
        memset(w->grad_value, 0, a->n_atoms * width * sizeof(float));
        memset(w->grad_pairs, 0, n * n_pair * sizeof(float));
        memset(w->grad_bias, 0, n * HEADS * sizeof(float));
        for (int64_t row = 0; row < a->n_rows; row++) backward_row(half, n_pair, a, w, molecule, row);
        write_gradients(half, a, w, molecule);
    }
}

static int run(const int backward, const attention *a, int64_t first, int64_t last) {
    const int64_t width = HEADS * a->depth, n = a->n_frames * a->n_atoms;
    const int64_t sizes[] = {a->n_atoms * width, a->n_atoms * width, backward ? a->n_atoms * width : 0,
                             backward ? a->n_atoms * width : 0, width, width, a->n_atoms * HEADS,
                             (a->n_pair + a->n_states) * HEADS, a->n_pair, backward ? n * a->n_pair : 0,
                             backward ? n * HEADS : 0};
    int64_t total = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) total += sizes[i];
    float *room = malloc(total * sizeof(float)), *next = room;
    if (!room) return 1;
    workspace w;
    float **places[] = {&w.key, &w.value, &w.grad_key, &w.grad_value, &w.query, &w.turned, &w.logits, &w.seen, &w.pair,
                        &w.grad_pairs, &w.grad_bias};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) *places[i] = next, next += sizes[i];
    /* Sizes as constants, so that sums over pair features stay in registers. */
    switch (2 * (a->n_pair / LANES) + (a->bfloat16 ? 1 : 0)) {
        case 2: molecules(0, LANES, backward, a, &w, first, last); break;
        case 3: molecules(1, LANES, backward, a, &w, first, last); break;
        case 4: molecules(0, 2 * LANES, backward, a, &w, first, last); break;
        case 5: molecules(1, 2 * LANES, backward, a, &w, first, last); break;
        case 6: molecules(0, 3 * LANES, backward, a, &w, first, last); break;
        case 7: molecules(1, 3 * LANES, backward, a, &w, first, last); break;
    }
    free(room);
    return 0;
}

/* Both return 0, or 1 where there is no memory. */
int attention_forward(const attention *a, int64_t first, int64_t last) { return run(0, a, first, last); }
int attention_backward(const attention *a, int64_t first, int64_t last) { return run(1, a, first, last); }
