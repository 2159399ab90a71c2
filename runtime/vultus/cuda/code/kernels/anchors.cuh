// Where the numbers of an anchor lie and what they mean: the device's half of vultus.decode.anchors.
#pragma once

#include "numbers.cuh"

#define ANCHOR_MAPS                                                                                        \
    const float *map0, const float *map1, const float *map2, const float *map3, const float *map4, const float *map5

namespace anchors {

const int VALUES = 15;  // logit, 4 of the box, 10 of the points
const int LARGEST_LEVELS = 6;
const int LEVEL_NUMBERS = 5;  // first anchor, rows, columns, stride, first row in `cells`
const float LARGEST_LOG_RATIO = 4.1351666f;  // log(1000 / 16)

// One anchor: its numbers, a plane of the map apart, and its centre and side in input pixels.
struct Anchor {
    const float* values;
    int plane;
    float x, y, size;
};

// Anchors are numbered by level, then anchor of the cell, row, column: the order of the maps.
__device__ inline Anchor anchor_at(ANCHOR_MAPS, const int* levels, int level_count, const float* cells, int index) {
    const float* maps[LARGEST_LEVELS] = {map0, map1, map2, map3, map4, map5};
    int level = 0;
    const float* map = maps[0];
#pragma unroll
    for (int next = 1; next < LARGEST_LEVELS; next++) {
        if (next < level_count && index >= levels[next * LEVEL_NUMBERS]) {
            level = next;
            map = maps[next];
        }
    }
    const int* row = levels + level * LEVEL_NUMBERS;
    const int plane = row[1] * row[2], local = index - row[0];
    const int which = local / plane, place = local - which * plane;
    const int down = place / row[2], right = place - down * row[2];
    const float* cell = cells + 3 * (row[4] + which);
    const float stride = float(row[3]);
    return {map + which * VALUES * plane + place, plane, cell[0] + float(right) * stride,
            cell[1] + float(down) * stride, cell[2]};
}

// Coordinate of a box's centre or of a point in input pixels. reach: what one unit is worth there.
__device__ inline float centre_of(float anchor, float value, float reach) {
    return anchor + value * reach;
}

// Half a side of a box in input pixels; the logarithm is held within that of 1000 / 16 as on the host.
__device__ inline float half_side(float size, float value, float variance) {
    float ratio = value * variance;
    ratio = ratio > LARGEST_LOG_RATIO ? LARGEST_LOG_RATIO : ratio;
    ratio = ratio < -LARGEST_LOG_RATIO ? -LARGEST_LOG_RATIO : ratio;
    return size * numbers::exp_of(ratio) / 2.0f;
}

}  // namespace anchors
