// Crops of all faces at once: each from the frame through its affine, as vultus.preprocess.crops_into.
//
// A pixel of a crop is a bilinear sample, rounded to whole grey levels, of the frame halved 0 to 3 times by the face's
// size. Places are exact to float32; OpenCV 4 takes the nearest 32nd of a pixel. The halved frame is never stored: what
// a sample needs of it is made from the frame's pixels.
#include "common.cuh"

namespace crops {

const int MAX_HALVINGS = 3;

// From a crop's pixels back to the frame's; halvings -1: the affine turns nothing back.
struct Way {
    float xx, xy, yx, yy, shift_x, shift_y;
    int halvings;
};

__device__ inline Way way_back(const float* affine) {
    const float a = affine[0], b = affine[1], c = affine[3], d = affine[4];
    // a * d - b * c, of which nothing is lost where the products nearly cancel (Kahan).
    const float second = __fmul_rn(b, c), lost = __fmaf_rn(-b, c, second);
    const float area = __fadd_rn(__fmaf_rn(a, d, -second), lost), size = area < 0.0f ? -area : area;
    if (!(size > 1e-30f && size < 1e30f)) return {0, 0, 0, 0, 0, 0, -1};
    const float scale = __fsqrt_rn(size);
    int halvings = 0;
    for (float least = 0.5f; halvings < MAX_HALVINGS && scale < least && scale > 1e-6f; least *= 0.5f) halvings++;
    return {__fdiv_rn(d, area),  __fdiv_rn(-b, area), __fdiv_rn(-c, area), __fdiv_rn(a, area),
            affine[2], affine[5], halvings};
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

__device__ inline int halved_side(int side, int times) {
    return (side + (1 << times) - 1) >> times;
}

__device__ inline int within(int at, int side) {
    return at < side ? at : side - 1;
}

// The pixel (x, y) of the frame halved 1 to 3 times: means of 2 x 2 pixels of the frame before, halves rounded up; the
// last pixel of an odd side counts twice. Pixels come in Morton order, so that four in a row are one mean.
template <class Source>
__device__ inline picture::Pixel halved(const Source& source, const Picture& frame, int halvings, int x, int y) {
    picture::Pixel sums[MAX_HALVINGS] = {{{2, 2, 2}}, {{2, 2, 2}}, {{2, 2, 2}}};
    for (int i = 0; i < 1 << 2 * halvings; i += 2) {
        int column = x, row = y;
        for (int level = halvings - 1; level >= 0; level--) {
            column = within(2 * column + (i >> 2 * level & 1), halved_side(frame.width, level));
            row = within(2 * row + (i >> (2 * level + 1) & 1), halved_side(frame.height, level));
        }
        picture::Pixel a, b;
        if (column + 1 < frame.width) {
            source.pair(column, column + 1, row, a, b);
        } else {
            a = b = source.at(column, row);
        }
        for (int k = 0; k < 3; k++) {
            sums[0].v[k] += a.v[k] + b.v[k];
            if ((i & 2) == 0) continue;
            sums[1].v[k] += sums[0].v[k] >> 2;
            if (halvings > 1) sums[0].v[k] = 2;
            if ((i & 14) != 14) continue;
            sums[2].v[k] += sums[1].v[k] >> 2;
            if (halvings > 2) sums[1].v[k] = 2;
        }
    }
    picture::Pixel mean;
    for (int k = 0; k < 3; k++) {
        mean.v[k] = (halvings == 1 ? sums[0] : halvings == 2 ? sums[1] : sums[2]).v[k] >> 2;
    }
    return mean;
}

// As sample, of the frame halved 1 to 3 times; (x, y) are the frame's own. One place in the code reads pixels, in a
// loop: written out four times, the kernels would be as long as all others together.
template <class Source>
__device__ inline picture::Pixel sample_halved(const Source& source, const Picture& frame, int halvings, float x,
                                               float y) {
    const int width = halved_side(frame.width, halvings), height = halved_side(frame.height, halvings);
    const float share = __fdiv_rn(1.0f, float(1 << halvings)), shift = __fmaf_rn(0.5f, share, -0.5f);
    x = __fmaf_rn(x, share, shift);
    y = __fmaf_rn(y, share, shift);
    if (!(x > -1.0f && y > -1.0f && x < float(width) && y < float(height))) return frame.outside;
    const int x0 = __float2int_rd(x), y0 = __float2int_rd(y);
    const float right = __fsub_rn(x, float(x0)), down = __fsub_rn(y, float(y0));
    float left[3], top[3], bottom[3];
#pragma unroll 1
    for (int tap = 0; tap < 4; tap++) {
        const int column = x0 + (tap & 1), row = y0 + (tap >> 1);
        const bool in = column >= 0 && column < width && row >= 0 && row < height;
        const picture::Pixel one = in ? halved(source, frame, halvings, column, row) : frame.outside;
        for (int k = 0; k < 3; k++) {
            if (tap == 2) top[k] = bottom[k];
            if (tap & 1) {
                bottom[k] = mix(left[k], float(one.v[k]), right);
            } else {
                left[k] = float(one.v[k]);
            }
        }
    }
    picture::Pixel mixed;
    for (int k = 0; k < 3; k++) mixed.v[k] = __float2int_rn(mix(top[k], bottom[k], down));
    return mixed;
}

template <class Source>
__device__ inline void run(const Source& source, const Picture& frame, const float* affines, const int* count,
                           int start, const picture::Planes& planes) {
    const int item = int(blockIdx.z);
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    if (start + item >= *count || x >= planes.width || y >= planes.height) return;
    const Way way = way_back(affines + 6 * item);
    if (way.halvings < 0) {
        planes.put(item, x, y, frame.outside);
        return;
    }
    const float u = __fsub_rn(float(x), way.shift_x), v = __fsub_rn(float(y), way.shift_y);
    const float at_x = __fmaf_rn(way.xx, u, __fmul_rn(way.xy, v));
    const float at_y = __fmaf_rn(way.yx, u, __fmul_rn(way.yy, v));
    planes.put(item, x, y, way.halvings ? sample_halved(source, frame, way.halvings, at_x, at_y)
                                        : sample(source, frame, at_x, at_y));
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
