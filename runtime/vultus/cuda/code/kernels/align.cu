// Similarities from the five points of faces to the template of a crop, as vultus.geometry.crop_affines.
//
// In single precision coordinates of a large frame leave few digits for the shape of a small face. So everything is
// taken from the first point, where differences lose nothing, and the shift comes last.
#include "numbers.cuh"

namespace align {

const int POINTS = 5;
const float SMALLEST = 1e-12f;
const float STEPS = 16.0f;  // a pixel

// The step that a coordinate lies next to, even ones before odd ones: exact, as every sum of whole sixteenths.
__device__ inline float steady(float coordinate) {
    return rintf(coordinate * STEPS) / STEPS;
}

}  // namespace align

// records: record_words words each, the points from word first_point. target: the template's points about their
// mean, then the mean. affines: (capacity, 2, 3) frame -> crop of the faces from `start`; those of no face stay.
extern "C" __global__ void vultus_align(const float* records, int record_words, int first_point, const int* count,
                                        int start, int capacity, const float* target, float* affines) {
    const int slot = int(blockIdx.x * blockDim.x + threadIdx.x);
    if (slot >= capacity || start + slot >= *count) return;
    const float* points = records + (start + slot) * record_words + first_point;
    const float origin_x = align::steady(points[0]), origin_y = align::steady(points[1]);
    float x[align::POINTS], y[align::POINTS], mean_x = 0.0f, mean_y = 0.0f;
    for (int k = 0; k < align::POINTS; k++) {
        x[k] = align::steady(points[2 * k]) - origin_x;
        y[k] = align::steady(points[2 * k + 1]) - origin_y;
        mean_x += x[k];
        mean_y += y[k];
    }
    mean_x /= float(align::POINTS);
    mean_y /= float(align::POINTS);
    float spread = 0.0f, along = 0.0f, across = 0.0f;
    for (int k = 0; k < align::POINTS; k++) {
        const float sx = x[k] - mean_x, sy = y[k] - mean_y, dx = target[2 * k], dy = target[2 * k + 1];
        spread = __fmaf_rn(sx, sx, __fmaf_rn(sy, sy, spread));
        along = __fmaf_rn(sx, dx, __fmaf_rn(sy, dy, along));
        across += numbers::difference_of_products(sx, dy, sy, dx);
    }
    spread = spread < align::SMALLEST ? align::SMALLEST : spread;
    float a = along / spread, b = across / spread;
    if (a * a + b * b < align::SMALLEST) {
        a = 1.0f;
        b = 0.0f;
    }
    // The mean's digits that its sum with the origin cannot hold are mapped by themselves.
    const float far_x = origin_x + mean_x, far_y = origin_y + mean_y;
    const float near_x = mean_x - (far_x - origin_x), near_y = mean_y - (far_y - origin_y);
    const float* centre = target + 2 * align::POINTS;
    float* affine = affines + 6 * slot;
    affine[0] = a;
    affine[1] = -b;
    affine[2] = centre[0] - numbers::difference_of_products(a, far_x, b, far_y) -
                numbers::difference_of_products(a, near_x, b, near_y);
    affine[3] = b;
    affine[4] = a;
    affine[5] = centre[1] - numbers::difference_of_products(b, far_x, -a, far_y) -
                numbers::difference_of_products(b, near_x, -a, near_y);
}

VULTUS_KERNEL(vultus_align)
