// Crops of all faces at once: each from the frame through its affine, as vultus.preprocess.crops_into.
//
// A pixel of a crop is the mean of n x n bilinear samples, n from 1 to 4 by the face's size; samples and means are
// rounded to whole grey levels, as OpenCV does on the host. Places are exact to float32; OpenCV 4 takes the nearest
// 32nd of a pixel.
#include "common.cuh"

namespace crops {

const int MAX_SAMPLES = 4;

// From a crop's pixels back to the frame's; samples 0: the affine turns nothing back.
struct Way {
    float xx, xy, yx, yy, shift_x, shift_y;
    int samples;
};

__device__ inline Way way_back(const float* affine) {
    const float a = affine[0], b = affine[1], c = affine[3], d = affine[4];
    // a * d - b * c, of which nothing is lost where the products nearly cancel (Kahan).
    const float second = __fmul_rn(b, c), lost = __fmaf_rn(-b, c, second);
    const float area = __fadd_rn(__fmaf_rn(a, d, -second), lost), size = area < 0.0f ? -area : area;
    if (!(size > 1e-30f && size < 1e30f)) return {};
    const float scale = __fsqrt_rn(size), wanted = __fdiv_rn(0.5f, scale);
    int samples = 1;
    while (samples < MAX_SAMPLES && float(samples) < wanted) samples++;
    return {__fdiv_rn(d, area),  __fdiv_rn(-b, area), __fdiv_rn(-c, area), __fdiv_rn(a, area),
            affine[2], affine[5], samples};
}

struct Picture {
    int width, height;
    picture::Pixel outside;
};

__device__ inline float mix(float from, float to, float share) {
    return __fmaf_rn(__fsub_rn(to, from), share, from);
}

// Bilinear, and the colour of the outside where the frame ends.
template <class Source>
__device__ inline picture::Pixel sample(const Source& source, const Picture& frame, float x, float y) {
    if (!(x > -1.0f && y > -1.0f && x < float(frame.width) && y < float(frame.height))) return frame.outside;
    const int x0 = __float2int_rd(x), y0 = __float2int_rd(y);
    const float right = __fsub_rn(x, float(x0)), down = __fsub_rn(y, float(y0));
    const bool in_left = x0 >= 0, in_right = x0 + 1 < frame.width;
    const bool in_top = y0 >= 0, in_bottom = y0 + 1 < frame.height;
    picture::Pixel a, b, c, d;
    if (in_left && in_right && in_top && in_bottom) {
        source.pair(x0, x0 + 1, y0, a, b);
        source.pair(x0, x0 + 1, y0 + 1, c, d);
    } else {
        a = in_left && in_top ? source.at(x0, y0) : frame.outside;
        b = in_right && in_top ? source.at(x0 + 1, y0) : frame.outside;
        c = in_left && in_bottom ? source.at(x0, y0 + 1) : frame.outside;
        d = in_right && in_bottom ? source.at(x0 + 1, y0 + 1) : frame.outside;
    }
    picture::Pixel mixed;
    for (int k = 0; k < 3; k++) {
        const float top = mix(float(a.v[k]), float(b.v[k]), right);
        const float bottom = mix(float(c.v[k]), float(d.v[k]), right);
        mixed.v[k] = __float2int_rn(mix(top, bottom, down));
    }
    return mixed;
}

// Mean of n * n numbers as cv2.INTER_AREA rounds it: of four, halves go up; of others, to the even number.
__device__ inline int mean_of(int sum, int n) {
    if (n == 1) return sum;
    if (n == 2) return (sum + 2) >> 2;
    return __float2int_rn(__fmul_rn(float(sum), __fdiv_rn(1.0f, float(n * n))));
}

template <class Source>
__device__ inline void run(const Source& source, const Picture& frame, const float* affines, const int* count,
                           int start, const picture::Planes& planes) {
    const int item = int(blockIdx.z);
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    if (start + item >= *count || x >= planes.width || y >= planes.height) return;
    const Way way = way_back(affines + 6 * item);
    picture::Pixel total = {};
    const float step = way.samples ? __fdiv_rn(1.0f, float(way.samples)) : 0.0f;
    for (int row = 0; row < way.samples; row++) {
        const float v = __fsub_rn(__fadd_rn(float(y), __fmaf_rn(float(row) + 0.5f, step, -0.5f)), way.shift_y);
        for (int column = 0; column < way.samples; column++) {
            const float u =
                __fsub_rn(__fadd_rn(float(x), __fmaf_rn(float(column) + 0.5f, step, -0.5f)), way.shift_x);
            const float at_x = __fmaf_rn(way.xx, u, __fmul_rn(way.xy, v));
            const float at_y = __fmaf_rn(way.yx, u, __fmul_rn(way.yy, v));
            const picture::Pixel one = sample(source, frame, at_x, at_y);
            for (int k = 0; k < 3; k++) total.v[k] += one.v[k];
        }
    }
    for (int k = 0; k < 3; k++) {
        total.v[k] = way.samples ? mean_of(total.v[k], way.samples) : frame.outside.v[k];
    }
    planes.put(item, x, y, total);
}

}  // namespace crops

// affines: (n, 2, 3) of the faces start ... start + n - 1, of which those below *count are made; others stay.
#define CROPS_PARAMETERS                                                                                          \
    int width, int height, int outside0, int outside1, int outside2, const float *affines, const int *count,      \
        int start, PLANES_PARAMETERS
#define CROPS_PICTURE                                                                                             \
    crops::Picture { width, height, {{ outside0, outside1, outside2 }} }

extern "C" __global__ void vultus_crops_colour(const unsigned char* base, int pitch, int words,
                                               CROPS_PARAMETERS) {
    crops::run(picture::Colour{base, pitch, words}, CROPS_PICTURE, affines, count, start, PLANES);
}

extern "C" __global__ void vultus_crops_grey(const unsigned char* base, int pitch, CROPS_PARAMETERS) {
    crops::run(picture::Grey{base, pitch}, CROPS_PICTURE, affines, count, start, PLANES);
}

extern "C" __global__ void vultus_crops_nv12(const unsigned char* base, int pitch, NV12_PARAMETERS,
                                             CROPS_PARAMETERS) {
    crops::run(NV12(base, pitch), CROPS_PICTURE, affines, count, start, PLANES);
}

VULTUS_KERNEL(vultus_crops_colour)
VULTUS_KERNEL(vultus_crops_grey)
VULTUS_KERNEL(vultus_crops_nv12)
