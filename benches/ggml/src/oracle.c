// ggml's quantisers behind three functions, compiled once for each set of flags that is of interest.
//
// Declaring the functions of `ggml-quants.h` static lets several copies stand in one program.

#define PASTE(a, b) a##_##b
#define NAMED(a, b) PASTE(a, b)
#define EXPORT(name) NAMED(VARIANT, name)

// The one function of the file that another header declares.
#define ggml_validate_row_data EXPORT(validate)

#include "ggml.h"
#undef GGML_API
#define GGML_API static
#include "ggml-quants.h"
#include "ggml-quants.c"

#define KINDS(X)                                                                                       \
    X(GGML_TYPE_Q4_0, q4_0, block_q4_0)                                                                \
    X(GGML_TYPE_Q4_1, q4_1, block_q4_1)                                                                \
    X(GGML_TYPE_Q5_0, q5_0, block_q5_0)                                                                \
    X(GGML_TYPE_Q5_1, q5_1, block_q5_1)                                                                \
    X(GGML_TYPE_Q8_0, q8_0, block_q8_0)                                                                \
    X(GGML_TYPE_Q2_K, q2_K, block_q2_K)                                                                \
    X(GGML_TYPE_Q3_K, q3_K, block_q3_K)                                                                \
    X(GGML_TYPE_Q4_K, q4_K, block_q4_K)                                                                \
    X(GGML_TYPE_Q5_K, q5_K, block_q5_K)                                                                \
    X(GGML_TYPE_Q6_K, q6_K, block_q6_K)                                                                \
    X(GGML_TYPE_IQ4_NL, iq4_nl, block_iq4_nl)                                                          \
    X(GGML_TYPE_IQ4_XS, iq4_xs, block_iq4_xs)                                                          \
    X(GGML_TYPE_MXFP4, mxfp4, block_mxfp4)

// Answers the bytes written; zero for a type that is not known here.
size_t EXPORT(quantize)(int type, const float * src, void * dst, int64_t rows, int64_t per_row, const float * importance) {
    switch (type) {
#define QUANTIZE(TYPE, NAME, BLOCK)                                                                    \
    case TYPE:                                                                                         \
        return quantize_##NAME(src, dst, rows, per_row, importance);
        KINDS(QUANTIZE)
    case GGML_TYPE_Q8_1:
        quantize_row_q8_1_ref(src, dst, rows * per_row);
        return rows * per_row / QK8_1 * sizeof(block_q8_1);
    case GGML_TYPE_Q8_K:
        quantize_row_q8_K_ref(src, dst, rows * per_row);
        return rows * per_row / QK_K * sizeof(block_q8_K);
    default:
        return 0;
    }
}

// Answers zero for a type that is not known here.
int EXPORT(dequantize)(int type, const void * src, float * dst, int64_t elements) {
    switch (type) {
#define DEQUANTIZE(TYPE, NAME, BLOCK)                                                                  \
    case TYPE:                                                                                         \
        dequantize_row_##NAME((const BLOCK *) src, dst, elements);                                     \
        return 1;
        KINDS(DEQUANTIZE)
    case GGML_TYPE_Q8_K:
        dequantize_row_q8_K((const block_q8_K *) src, dst, elements);
        return 1;
    default:
        return 0;
    }
}

#ifdef SUPPORT
// What `ggml-quants.c` asks the rest of ggml for.
size_t ggml_row_size(enum ggml_type type, int64_t elements) {
    switch (type) {
#define SIZE(TYPE, NAME, BLOCK)                                                                        \
    case TYPE:                                                                                         \
        return elements / BLOCK_ELEMENTS_##NAME * sizeof(BLOCK);
#define BLOCK_ELEMENTS_q4_0 QK4_0
#define BLOCK_ELEMENTS_q4_1 QK4_1
#define BLOCK_ELEMENTS_q5_0 QK5_0
#define BLOCK_ELEMENTS_q5_1 QK5_1
#define BLOCK_ELEMENTS_q8_0 QK8_0
#define BLOCK_ELEMENTS_q2_K QK_K
#define BLOCK_ELEMENTS_q3_K QK_K
#define BLOCK_ELEMENTS_q4_K QK_K
#define BLOCK_ELEMENTS_q5_K QK_K
#define BLOCK_ELEMENTS_q6_K QK_K
#define BLOCK_ELEMENTS_iq4_nl QK4_NL
#define BLOCK_ELEMENTS_iq4_xs QK_K
#define BLOCK_ELEMENTS_mxfp4 QK_MXFP4
        KINDS(SIZE)
    default:
        abort();
    }
}

size_t ggml_type_size(enum ggml_type type) {
    (void) type;
    abort();
}

const char * ggml_type_name(enum ggml_type type) {
    (void) type;
    return "?";
}

void ggml_abort(const char * file, int line, const char * format, ...) {
    fprintf(stderr, "%s:%d: %s\n", file, line, format);
    abort();
}
#endif
