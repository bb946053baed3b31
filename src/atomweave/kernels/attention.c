/* Attention with pair features of `models/embedders/causal.py`, forward and backward, in one pass over each row.

   A row sees the first `extent` atoms of its molecule from one frame; what lies beyond is never read. With eight heads a
   vector holds two numbers of each head, so that logits, softmax and gradients of all heads go side by side, and only at
   the end its two halves are added; what comes head by head is turned that way when it is read: number d of head h then
   stands at 8 d + h. Features are float32 or bfloat16, the arithmetic is float32. A molecule is the unit of parallel
   work. */

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vector.h"

#define HEADS 8
#define BLOCK (LANES * HEADS) /* as many numbers of each head as a vector has lanes */
#define MOST_PAIR (3 * LANES)
#define MOST_STATES 4
#define UNROLL _Pragma("GCC unroll 16")

#if defined(__clang__) || __GNUC__ >= 12
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, (ivec){__VA_ARGS__})
#endif

typedef float heads __attribute__((vector_size(4 * HEADS), aligned(4), may_alias));
typedef uint32_t uheads __attribute__((vector_size(4 * HEADS), aligned(4), may_alias));
typedef uint16_t hheads __attribute__((vector_size(2 * HEADS), aligned(2), may_alias));

typedef struct {
    int64_t n_rows, n_frames, n_atoms;
    int64_t depth;         /* numbers a head, a multiple of LANES: width = HEADS * depth */
    int64_t n_pair;        /* pair features, 2 or 3 times LANES */
    int64_t n_states;      /* numbers that a row knows of an atom beside; at most MOST_STATES */
    int64_t n_kept;        /* atoms a molecule that `key_value` has room for; `n_atoms` where it holds no others */
    int64_t bias_stride;   /* from the biases of one atom to those of the next */
    int64_t bfloat16;
    const void *query;     /* (n_molecules, n_rows, width) */
    const void *key_value; /* (n_molecules, n_kept, 2 * width), or more molecules where `kept` says which */
    const int64_t *kept;   /* (n_molecules,), whose keys and values; NULL: molecule i's are the i-th */
    const void *bias;      /* (n_molecules, n_frames, n_atoms) with `bias_stride`, HEADS each */
    const void *pairs;     /* (n_molecules, n_frames, n_atoms, n_pair) */
    const void *states;    /* (n_molecules, n_rows, n_atoms, n_states) */
    const float *state_bias; /* (n_states, HEADS) */
    const int64_t *frame;  /* (n_molecules, n_rows); NULL: row i looks from frame i */
    const int64_t *extent; /* (n_molecules, n_rows), at least 1 */
    float *weights;        /* (n_molecules, n_rows, n_even, HEADS), written up to the extent; n_even: see `even` */
    void *out;             /* (n_molecules, n_rows, width + HEADS * (n_pair + n_states)) */
    const void *grad;      /* of `out` */
    void *grad_query, *grad_key_value, *grad_pairs; /* as the inputs */
    void *grad_bias;       /* (n_molecules, n_frames, n_atoms, HEADS) */
    float *grad_state_bias; /* (n_molecules, n_states, HEADS) */
} attention;

/* Room for one molecule at a time; "turned" means HEADS last. */
typedef struct {
    float *key, *value;           /* (n_atoms, depth, HEADS) turned */
    float *query, *values;        /* (n_rows, depth, HEADS) turned; of all rows in the backward pass, else of one */
    float *logits;                /* (n_rows, n_even, HEADS), likewise */
    float *seen;                  /* (n_pair, HEADS) turned */
    float *grad_pairs, *grad_bias; /* (n_frames, n_atoms, n_pair), (n_frames, n_atoms, HEADS) */
} workspace;

/* Atoms in twos: a vector holds the heads of two. */
INLINE int64_t even(int64_t n) { return n + n % 2; }

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

INLINE void store(const int half, void *x, int64_t at, vec value) {
    if (!half) {
        *(vec *)((float *)x + at) = value;
        return;
    }
    const uvec bits = (uvec)value;
    *(hvec *)((uint16_t *)x + at) = __builtin_convertvector((bits + 0x7fff + ((bits >> 16) & 1)) >> 16, hvec);
}

INLINE heads load_heads(const int half, const void *x, int64_t at) {
    if (!half) return *(const heads *)((const float *)x + at);
    return (heads)(__builtin_convertvector(*(const hheads *)((const uint16_t *)x + at), uheads) << 16);
}

INLINE vec twice(const float *x) {
    const heads once = *(const heads *)x;
    union { heads halves[2]; vec whole; } both = {.halves = {once, once}};
    return both.whole;
}

INLINE heads folded(vec x) {
    const union { vec whole; heads halves[2]; } both = {.whole = x};
    return both.halves[0] + both.halves[1];
}

/* exp of x <= 0; 0 where it is below 1e-38. */
INLINE vec exponential_or_none(vec x) {
    const ivec inside = (ivec)(x > (vec){0} - 87.0f);
    return (vec)((ivec)exponential_of_negative(x) & inside);
}

/* Heads first to heads last, LANES numbers of each, `stride` from one head's to the next's. A perfect shuffle of vectors i
   and i + 4 moves the highest bit of a number's place to the lowest; after three of them the head's three bits are there. */
INLINE void turn(const int half, const void *x, int64_t at, int64_t stride, float scale, float *turned) {
    vec a[HEADS], b[HEADS];
    UNROLL for (int h = 0; h < HEADS; h++) a[h] = scale * load(half, x, at + h * stride);
    UNROLL for (int round = 0; round < 3; round++) {
        UNROLL for (int i = 0; i < HEADS / 2; i++) {
            b[2 * i] = SHUFFLE(a[i], a[i + 4], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            b[2 * i + 1] = SHUFFLE(a[i], a[i + 4], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
        }
        UNROLL for (int i = 0; i < HEADS; i++) a[i] = b[i];
    }
    UNROLL for (int i = 0; i < HEADS; i++) *(vec *)(turned + i * LANES) = a[i];
}

/* And back. */
INLINE void turn_back(const int half, const vec *turned, int64_t stride, float scale, void *x, int64_t at) {
    vec a[HEADS], b[HEADS];
    UNROLL for (int i = 0; i < HEADS; i++) a[i] = turned[i];
    UNROLL for (int round = 0; round < 3; round++) {
        UNROLL for (int i = 0; i < HEADS / 2; i++) {
            b[i] = SHUFFLE(a[2 * i], a[2 * i + 1], 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            b[i + 4] = SHUFFLE(a[2 * i], a[2 * i + 1], 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
        }
        UNROLL for (int i = 0; i < HEADS; i++) a[i] = b[i];
    }
    UNROLL for (int h = 0; h < HEADS; h++) store(half, x, at + h * stride, scale * a[h]);
}

/* sums[j] (HEADS) += x (depth, HEADS) . y[j] (depth, HEADS) for the first n of y. */
INLINE void dots(const float *x, const float *y, int64_t depth, int64_t n, float *sums) {
    for (int64_t d = 0; d < depth * HEADS; d += BLOCK) {
        vec here[HEADS];
        UNROLL for (int i = 0; i < HEADS; i++) here[i] = *(const vec *)(x + d + i * LANES);
        for (int64_t j = 0; j < n; j++) {
            const float *there = y + j * depth * HEADS + d;
            vec parts[2] = {0};
            UNROLL for (int i = 0; i < HEADS; i++) parts[i % 2] += here[i] * *(const vec *)(there + i * LANES);
            *(heads *)(sums + j * HEADS) += folded(parts[0] + parts[1]);
        }
    }
}

/* sum (BLOCK) = the n vectors y, `step` apart, times one number a head each, `weight_step` apart. */
INLINE void weigh(const float *weights, int64_t weight_step, const float *y, int64_t step, int64_t n, vec *sum) {
    UNROLL for (int i = 0; i < HEADS; i++) sum[i] = (vec){0};
    for (int64_t j = 0; j < n; j++) {
        const vec weight = twice(weights + j * weight_step);
        UNROLL for (int i = 0; i < HEADS; i++) sum[i] += weight * *(const vec *)(y + j * step + i * LANES);
    }
}

INLINE void read_molecule(const int half, const attention *a, const workspace *w, int64_t molecule) {
    const int64_t width = HEADS * a->depth, kept = (a->kept ? a->kept[molecule] : molecule) * a->n_kept;
    for (int64_t atom = 0; atom < a->n_atoms; atom++)
        for (int64_t d = 0; d < a->depth; d += LANES) {
            const int64_t at = (kept + atom) * 2 * width + d, here = atom * width + d * HEADS;
            turn(half, a->key_value, at, a->depth, 1.0f, w->key + here);
            turn(half, a->key_value, at + width, a->depth, 1.0f, w->value + here);
        }
}

INLINE void forward_row(const int half, const int64_t n_pair, const attention *a, const workspace *w, int64_t molecule,
                        int64_t row) {
    const int64_t width = HEADS * a->depth, n_states = a->n_states, at = molecule * a->n_rows + row;
    const int64_t extent = a->extent[at], frame = molecule * a->n_frames + (a->frame ? a->frame[at] : row);
    const int64_t wide = n_pair + n_states, states = at * a->n_atoms * n_states;
    float *weights = a->weights + at * even(a->n_atoms) * HEADS;
    const float scale = 1.0f / sqrtf((float)a->depth);
    for (int64_t d = 0; d < a->depth; d += LANES)
        turn(half, a->query, at * width + d, a->depth, scale, w->query + d * HEADS);
    for (int64_t j = 0; j < extent; j++) {
        heads logit = load_heads(half, a->bias, (frame * a->n_atoms + j) * a->bias_stride);
        for (int64_t s = 0; s < n_states; s++)
            logit += load_one(half, a->states, states + j * n_states + s) * *(const heads *)(a->state_bias + s * HEADS);
        *(heads *)(w->logits + j * HEADS) = logit;
    }
    if (extent % 2) *(heads *)(w->logits + extent * HEADS) = (heads){0} - INFINITY;
    dots(w->query, w->key, a->depth, extent, w->logits);
    vec most = *(const vec *)w->logits, sum = {0};
    for (int64_t j = 2; j < extent; j += 2) {
        const vec logit = *(const vec *)(w->logits + j * HEADS);
        const ivec larger = (ivec)(logit > most);
        most = (vec)((larger & (ivec)logit) | (~larger & (ivec)most));
    }
    const vec other = SHUFFLE(most, most, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7);
    const ivec larger = (ivec)(other > most);
    most = (vec)((larger & (ivec)other) | (~larger & (ivec)most));
    for (int64_t j = 0; j < extent; j += 2) {
        const vec weight = exponential_or_none(*(const vec *)(w->logits + j * HEADS) - most);
        *(vec *)(weights + j * HEADS) = weight;
        sum += weight;
    }
    const heads share = 1.0f / folded(sum);
    for (int64_t j = 0; j < extent; j++) *(heads *)(weights + j * HEADS) *= share;

    const int64_t out = at * (width + HEADS * wide);
    for (int64_t d = 0; d < a->depth; d += LANES) {
        vec values[HEADS];
        weigh(weights, HEADS, w->value + d * HEADS, width, extent, values);
        turn_back(half, values, a->depth, 1.0f, a->out, out + d);
    }
    vec seen[HEADS][MOST_PAIR / LANES] = {0};
    heads state_seen[MOST_STATES] = {0};
    for (int64_t j = 0; j < extent; j++) {
        vec pair[MOST_PAIR / LANES];
        UNROLL for (int64_t c = 0; c < n_pair / LANES; c++)
            pair[c] = load(half, a->pairs, (frame * a->n_atoms + j) * n_pair + c * LANES);
        UNROLL for (int h = 0; h < HEADS; h++) {
            const float weight = weights[j * HEADS + h];
            UNROLL for (int64_t c = 0; c < n_pair / LANES; c++) seen[h][c] += weight * pair[c];
        }
        for (int64_t s = 0; s < n_states; s++)
            state_seen[s] += load_one(half, a->states, states + j * n_states + s) * *(const heads *)(weights + j * HEADS);
    }
    UNROLL for (int h = 0; h < HEADS; h++) {
        const int64_t here = out + width + h * wide;
        UNROLL for (int64_t c = 0; c < n_pair / LANES; c++) store(half, a->out, here + c * LANES, seen[h][c]);
        for (int64_t s = 0; s < n_states; s++) store_one(half, a->out, here + n_pair + s, state_seen[s][h]);
    }
}

/* What a row gives to pairs, and the gradients of its weights and logits; queries, keys and values follow. */
INLINE void backward_row(const int half, const int64_t n_pair, const attention *a, const workspace *w, int64_t molecule,
                         int64_t row) {
    const int64_t width = HEADS * a->depth, n_states = a->n_states, at = molecule * a->n_rows + row;
    const int64_t extent = a->extent[at], frame = a->frame ? a->frame[at] : row, wide = n_pair + n_states;
    const int64_t pairs = (molecule * a->n_frames + frame) * a->n_atoms * n_pair;
    const int64_t grad = at * (width + HEADS * wide), states = at * a->n_atoms * n_states;
    const float *weights = a->weights + at * even(a->n_atoms) * HEADS, scale = 1.0f / sqrtf((float)a->depth);
    float *logits = w->logits + row * even(a->n_atoms) * HEADS;
    float *query = w->query + row * width, *values = w->values + row * width;
    for (int64_t d = 0; d < a->depth; d += LANES) {
        turn(half, a->query, at * width + d, a->depth, scale, query + d * HEADS);
        turn(half, a->grad, grad + d, a->depth, 1.0f, values + d * HEADS);
    }
    for (int64_t c = 0; c < n_pair; c += LANES) turn(half, a->grad, grad + width + c, wide, 1.0f, w->seen + c * HEADS);
    heads of_states[MOST_STATES];
    for (int64_t s = 0; s < n_states; s++)
        for (int h = 0; h < HEADS; h++) of_states[s][h] = load_one(half, a->grad, grad + width + h * wide + n_pair + s);

    for (int64_t j = 0; j < extent; j++) { /* gradients of the weights, by what they average */
        vec parts[2] = {0};
        UNROLL for (int64_t c = 0; c < n_pair; c += LANES) {
            const vec pair = load(half, a->pairs, pairs + j * n_pair + c);
            const float *seen = w->seen + c * HEADS;
#define TWO(i) parts[i % 2] += SHUFFLE(pair, pair, 2 * i, 2 * i, 2 * i, 2 * i, 2 * i, 2 * i, 2 * i, 2 * i, 2 * i + 1, \
    2 * i + 1, 2 * i + 1, 2 * i + 1, 2 * i + 1, 2 * i + 1, 2 * i + 1, 2 * i + 1) * *(const vec *)(seen + i * LANES)
            TWO(0); TWO(1); TWO(2); TWO(3); TWO(4); TWO(5); TWO(6); TWO(7);
#undef TWO
        }
        heads sum = folded(parts[0] + parts[1]);
        for (int64_t s = 0; s < n_states; s++)
            sum += load_one(half, a->states, states + j * n_states + s) * of_states[s];
        *(heads *)(logits + j * HEADS) = sum;
    }
    dots(values, w->value, a->depth, extent, logits);
    heads mean = {0};
    for (int64_t j = 0; j < extent; j++)
        mean += *(const heads *)(weights + j * HEADS) * *(const heads *)(logits + j * HEADS);
    float *grad_state_bias = a->grad_state_bias + molecule * n_states * HEADS;
    for (int64_t j = 0; j < extent; j++) {
        const heads logit = *(const heads *)(weights + j * HEADS) * (*(const heads *)(logits + j * HEADS) - mean);
        *(heads *)(logits + j * HEADS) = logit;
        *(heads *)(w->grad_bias + (frame * a->n_atoms + j) * HEADS) += logit;
        for (int64_t s = 0; s < n_states; s++)
            *(heads *)(grad_state_bias + s * HEADS) += load_one(half, a->states, states + j * n_states + s) * logit;
    }
    /* What this row does not see is nothing to `write_molecule`. */
    memset(logits + extent * HEADS, 0, (even(a->n_atoms) - extent) * HEADS * sizeof(float));

    vec seen[HEADS][MOST_PAIR / LANES];
    UNROLL for (int h = 0; h < HEADS; h++)
        UNROLL for (int64_t c = 0; c < n_pair / LANES; c++)
            seen[h][c] = load(half, a->grad, grad + width + h * wide + c * LANES);
    for (int64_t j = 0; j < extent; j++) {
        float *grad_pairs = w->grad_pairs + (frame * a->n_atoms + j) * n_pair;
        vec sums[MOST_PAIR / LANES];
        UNROLL for (int64_t c = 0; c < n_pair / LANES; c++) sums[c] = *(const vec *)(grad_pairs + c * LANES);
        UNROLL for (int h = 0; h < HEADS; h++) {
            const float weight = weights[j * HEADS + h];
            UNROLL for (int64_t c = 0; c < n_pair / LANES; c++) sums[c] += weight * seen[h][c];
        }
        UNROLL for (int64_t c = 0; c < n_pair / LANES; c++) *(vec *)(grad_pairs + c * LANES) = sums[c];
    }
    for (int64_t d = 0; d < a->depth; d += LANES) {
        vec sums[HEADS];
        weigh(logits, HEADS, w->key + d * HEADS, width, extent, sums);
        turn_back(half, sums, a->depth, scale, a->grad_query, at * width + d);
    }
}

/* Gradients that all rows of a molecule add to. */
INLINE void write_molecule(const int half, const attention *a, const workspace *w, int64_t molecule) {
    const int64_t width = HEADS * a->depth, n = a->n_frames * a->n_atoms, step = even(a->n_atoms) * HEADS;
    const float *weights = a->weights + molecule * a->n_rows * step;
    for (int64_t atom = 0; atom < a->n_atoms; atom++)
        for (int64_t d = 0; d < a->depth; d += LANES) {
            const int64_t at = (molecule * a->n_atoms + atom) * 2 * width + d;
            vec sums[HEADS];
            weigh(w->logits + atom * HEADS, step, w->query + d * HEADS, width, a->n_rows, sums);
            turn_back(half, sums, a->depth, 1.0f, a->grad_key_value, at);
            weigh(weights + atom * HEADS, step, w->values + d * HEADS, width, a->n_rows, sums);
            turn_back(half, sums, a->depth, 1.0f, a->grad_key_value, at + width);
        }
    for (int64_t i = 0; i < n * a->n_pair; i += LANES)
        store(half, a->grad_pairs, molecule * n * a->n_pair + i, *(const vec *)(w->grad_pairs + i));
    int64_t i = 0;
    for (; i + LANES <= n * HEADS; i += LANES)
        store(half, a->grad_bias, molecule * n * HEADS + i, *(const vec *)(w->grad_bias + i));
    for (; i < n * HEADS; i++) store_one(half, a->grad_bias, molecule * n * HEADS + i, w->grad_bias[i]);
}

INLINE void molecules(const int half, const int64_t n_pair, const int backward, const attention *a, const workspace *w,
                      int64_t first, int64_t last) {
    const int64_t n = a->n_frames * a->n_atoms;
    for (int64_t molecule = first; molecule < last; molecule++) {
        read_molecule(half, a, w, molecule);
        if (!backward) {
            for (int64_t row = 0; row < a->n_rows; row++) forward_row(half, n_pair, a, w, molecule, row);
            continue;
        }
        memset(w->grad_pairs, 0, n * n_pair * sizeof(float));
        memset(w->grad_bias, 0, n * HEADS * sizeof(float));
        for (int64_t row = 0; row < a->n_rows; row++) backward_row(half, n_pair, a, w, molecule, row);
        write_molecule(half, a, w, molecule);
    }
}

static int run(const int backward, const attention *a, int64_t first, int64_t last) {
    const int64_t width = HEADS * a->depth, n = a->n_frames * a->n_atoms, n_rows = backward ? a->n_rows : 1;
    const int64_t atoms = a->n_atoms * width, rows = n_rows * width, grads = backward ? n : 0;
    const int64_t sizes[] = {atoms, atoms, rows, rows, n_rows * even(a->n_atoms) * HEADS, a->n_pair * HEADS,
                             grads * a->n_pair, grads * HEADS};
    const int64_t n_parts = sizeof sizes / sizeof *sizes;
    int64_t total = 0;
    for (int64_t i = 0; i < n_parts; i++) total += sizes[i];
    float *room = malloc(total * sizeof(float)), *next = room;
    if (!room) return 1;
    workspace w;
    float **parts[] = {&w.key, &w.value, &w.query, &w.values, &w.logits, &w.seen, &w.grad_pairs, &w.grad_bias};
    for (int64_t i = 0; i < n_parts; i++) *parts[i] = next, next += sizes[i];
    /* Sizes as constants, so that sums over pair features stay in registers. */
    switch (2 * (a->n_pair / LANES) + (a->bfloat16 ? 1 : 0)) {
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
