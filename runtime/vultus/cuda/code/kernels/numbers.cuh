// Functions of single numbers from additions, multiplications and roundings alone.
//
// Every step is rounded as IEEE 754 says, so each device and the host give the same bits. That holds only for code
// that is compiled without contraction of a * b + c and without flushing of small numbers to zero.
#pragma once

namespace numbers {

const unsigned NOT_MEASURED = 0x7fc00000u;  // the NaN that numpy writes

__device__ inline bool is_finite(float value) {
    return (__float_as_uint(value) & 0x7f800000u) != 0x7f800000u;
}

// 2^n for -126 <= n <= 127.
__device__ inline float power_of_two(int n) {
    return __uint_as_float(unsigned(n + 127) << 23);
}

// Exponential within 1 ulp: x = n ln 2 + r with |r| <= ln 2 / 2, then the series of e^r.
__device__ inline float exp_of(float x) {
    x = x > 100.0f ? 100.0f : (x < -120.0f ? -120.0f : x);
    const int n = __float2int_rn(x * 1.44269504f);
    const float turns = float(n);
    float r = __fmaf_rn(turns, -0.693359375f, x);
    r = __fmaf_rn(turns, 2.12194440e-4f, r);
    float sum = 1.9841270e-4f;
    sum = __fmaf_rn(sum, r, 1.3888889e-3f);
    sum = __fmaf_rn(sum, r, 8.3333333e-3f);
    sum = __fmaf_rn(sum, r, 4.1666667e-2f);
    sum = __fmaf_rn(sum, r, 1.6666667e-1f);
    sum = __fmaf_rn(sum, r, 0.5f);
    sum = __fmaf_rn(sum, r, 1.0f);
    sum = __fmaf_rn(sum, r, 1.0f);
    return sum * power_of_two(n / 2) * power_of_two(n - n / 2);
}

// 1 / (1 + e^-x), the logit held within 80 as on the host.
__device__ inline float sigmoid_of(float x) {
    x = x > 80.0f ? 80.0f : (x < -80.0f ? -80.0f : x);
    return 1.0f / (1.0f + exp_of(-x));
}

// a * b - c * d, of which nothing is lost where the products nearly cancel (Kahan).
__device__ inline float difference_of_products(float a, float b, float c, float d) {
    const float second = c * d;
    const float lost = __fmaf_rn(-c, d, second);
    return __fmaf_rn(a, b, -second) + lost;
}

// Arc tangent of 0 <= t <= 1 in radians; above tan(pi / 8) by atan t = pi / 4 + atan((t - 1) / (t + 1)).
__device__ inline float arc_tangent_of_share(float t) {
    const bool steep = t > 0.41421356f;
    const float u = steep ? (t - 1.0f) / (t + 1.0f) : t;
    const float square = u * u;
    float sum = 1.0f / 17.0f;
    sum = __fmaf_rn(sum, -square, 1.0f / 15.0f);
    sum = __fmaf_rn(sum, -square, 1.0f / 13.0f);
    sum = __fmaf_rn(sum, -square, 1.0f / 11.0f);
    sum = __fmaf_rn(sum, -square, 1.0f / 9.0f);
    sum = __fmaf_rn(sum, -square, 1.0f / 7.0f);
    sum = __fmaf_rn(sum, -square, 1.0f / 5.0f);
    sum = __fmaf_rn(sum, -square, 1.0f / 3.0f);
    sum = __fmaf_rn(sum * -square, u, u);
    return steep ? 0.78539816f + sum : sum;
}

// Direction of (x, y) in degrees, in -180 ... 180; 0 for no direction.
__device__ inline float degrees_of(float y, float x) {
    const float wide = x < 0.0f ? -x : x, tall = y < 0.0f ? -y : y;
    if (!(wide > 0.0f || tall > 0.0f)) return 0.0f;
    const bool upright = tall > wide;
    float degrees = 57.2957795f * arc_tangent_of_share(upright ? wide / tall : tall / wide);
    degrees = upright ? 90.0f - degrees : degrees;
    degrees = x < 0.0f ? 180.0f - degrees : degrees;
    return y < 0.0f ? -degrees : degrees;
}

}  // namespace numbers
