// What the kernels that read and write pictures share: pixels of every format, normalisation, planar stores.
//
// A pixel is three numbers 0-255 in the order blue, green, red; of an RGB frame red, green, blue.
#pragma once

namespace picture {

typedef unsigned char Byte;
typedef unsigned long long Size;

struct Pixel {
    int v[3];
};

// Bits of the nearest float16, ties to even.
__device__ inline unsigned short half_bits(float value) {
#ifdef VULTUS_SHIM
    const unsigned bits = __float_as_uint(value), sign = bits >> 16 & 0x8000u, size = bits & 0x7fffffffu;
    if (size > 0x7f800000u) return 0x7fffu;
    if (size >= 0x477ff000u) return (unsigned short)(sign | 0x7c00u);
    const unsigned exponent = size >> 23;
    // Below 2^-14 steps are 2^-24 wide; beyond 24 + 1 places nothing is left.
    const unsigned drop = exponent >= 113u ? 13u : (exponent < 101u ? 25u : 126u - exponent);
    const unsigned whole = exponent >= 113u ? size - (112u << 23) : ((size & 0x7fffffu) | 0x800000u);
    const unsigned half = 1u << (drop - 1u), rest = whole & ((1u << drop) - 1u), kept = whole >> drop;
    return (unsigned short)(sign | (kept + (rest > half || (rest == half && (kept & 1u)) ? 1u : 0u)));
#else
    unsigned short half;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(half) : "f"(value));
    return half;
#endif
}

// BGR or RGB. words: rows start and end on whole words of 4 bytes, so pixels may be taken out of words.
struct Colour {
    const Byte* base;
    int pitch, words;

    __device__ inline Pixel at(int x, int y) const {
        const Byte* p = base + (Size)y * pitch + 3 * x;
        return {{p[0], p[1], p[2]}};
    }
    // The pixels at x0 and x1, which is x0 + 1 or, in a picture one pixel wide, x0.
    __device__ inline void pair(int x0, int x1, int y, Pixel& left, Pixel& right) const {
        if (!words) {
            left = at(x0, y);
            right = at(x1, y);
            return;
        }
        // Six bytes lie in two or three words; the last one that is read holds the last byte, so none is outside.
        const unsigned* row = (const unsigned*)(base + (Size)y * pitch);
        const int first = 3 * x0, word = first >> 2;
        const unsigned shift = 8u * (first & 3), a = row[word], b = row[word + 1], c = row[(first + 5) >> 2];
        const unsigned low = __funnelshift_r(a, b, shift), high = __funnelshift_r(b, c, shift);
        left = {{int(low & 255u), int(low >> 8 & 255u), int(low >> 16 & 255u)}};
        right = {{int(low >> 24), int(high & 255u), int(high >> 8 & 255u)}};
    }
};

struct Grey {
    const Byte* base;
    int pitch;

    __device__ inline Pixel at(int x, int y) const {
        const int value = base[(Size)y * pitch + x];
        return {{value, value, value}};
    }
    __device__ inline void pair(int x0, int x1, int y, Pixel& left, Pixel& right) const {
        left = at(x0, y);
        right = at(x1, y);
    }
};

// NV12. The weights are those of vultus.preprocess.YuvWeights, in units of 2^-20.
struct Nv12 {
    const Byte* base;
    const Byte* chroma;
    int pitch, black, luma, v_to_red, u_to_green, v_to_green, u_to_blue;

    __device__ static inline int byte_of(int value) {
        value >>= 20;
        return value < 0 ? 0 : (value > 255 ? 255 : value);
    }
    __device__ inline Pixel convert(int y, int u, int v) const {
        const int light = (y > black ? y - black : 0) * luma + (1 << 19);
        u -= 128;
        v -= 128;
        return {{byte_of(light + u_to_blue * u), byte_of(light + u_to_green * u + v_to_green * v),
                 byte_of(light + v_to_red * v)}};
    }
    __device__ inline Pixel at(int x, int y) const {
        const Byte* uv = chroma + (Size)(y >> 1) * pitch + (x & ~1);
        const int light = base[(Size)y * pitch + x];
        if ((Size)uv & 1) return convert(light, uv[0], uv[1]);
        const int both = *(const unsigned short*)uv;
        return convert(light, both & 255, both >> 8);
    }
    __device__ inline void pair(int x0, int x1, int y, Pixel& left, Pixel& right) const {
        left = at(x0, y);
        right = at(x1, y);
    }
};

// Where and how numbers 0-255 become a planar tensor (n, 3, height, width).
//
// table: (3, 256) float32, or null where (value - mean) * scale in float32 gives the same bits.
struct Planes {
    void* out;
    int width, height, half, swap;
    const float* table;
    float mean[3], scale[3];

    __device__ inline float normalised(int plane, int value) const {
        if (table) return table[256 * plane + value];
        return __fmul_rn(__fsub_rn(float(value), mean[plane]), scale[plane]);
    }
    __device__ inline void store(Size at, float value) const {
        if (half) {
            ((unsigned short*)out)[at] = half_bits(value);
        } else {
            ((float*)out)[at] = value;
        }
    }
    __device__ inline void put(int item, int x, int y, const Pixel& pixel) const {
        const Size plane = (Size)width * height, at = 3 * plane * item + (Size)y * width + x;
        store(at, normalised(0, swap ? pixel.v[2] : pixel.v[0]));
        store(at + plane, normalised(1, pixel.v[1]));
        store(at + 2 * plane, normalised(2, swap ? pixel.v[0] : pixel.v[2]));
    }
    __device__ inline void put_zero(int item, int x, int y) const {
        const Size plane = (Size)width * height, at = 3 * plane * item + (Size)y * width + x;
        for (int number = 0; number < 3; number++) store(at + number * plane, 0.0f);
    }
};

}  // namespace picture

// The parameters of a kernel that make a Planes, and the Planes of them.
#define PLANES_PARAMETERS                                                                                         \
    void *out, int out_width, int out_height, int half, int swap, const float *table, float mean0, float mean1,   \
        float mean2, float scale0, float scale1, float scale2
#define PLANES                                                                                                    \
    picture::Planes {                                                                                             \
        out, out_width, out_height, half, swap, table, {mean0, mean1, mean2}, { scale0, scale1, scale2 }           \
    }
// The same for NV12's second plane and weights.
#define NV12_PARAMETERS                                                                                           \
    const unsigned char *chroma, int black, int luma, int v_to_red, int u_to_green, int v_to_green, int u_to_blue
#define NV12(base, pitch)                                                                                         \
    picture::Nv12 { base, chroma, pitch, black, luma, v_to_red, u_to_green, v_to_green, u_to_blue }
