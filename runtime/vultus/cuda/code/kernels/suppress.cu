// Greedy suppression of overlapping boxes, and the records of those that stand.
//
// A box stands when every better box that overlaps it has fallen, and falls as soon as one of them stands. Deciding
// in rounds what is certain gives the same survivors as going through the boxes one by one, for all boxes at once.
#include "anchors.cuh"

namespace suppress {

const int LARGEST_WORDS = 512;  // 32 candidates each
const int LARGEST_FACES = 2048;
const int THREADS = 512;  // each decides on at most 32 candidates
const int LAYOUT_WORDS = 5;  // words of a record; first words of box, score, points, track

// Not a number goes through, as in numpy.
__device__ inline float at_least_zero(float value) {
    return value < 0.0f ? 0.0f : value;
}

// x, y: upper left corner; z, w: lower right one.
__device__ inline float area_of(float4 box) {
    return at_least_zero(box.z - box.x) * at_least_zero(box.w - box.y);
}

// The arithmetic of vultus.decode.nms in the same order, in single precision.
__device__ inline float overlap_of(float4 better, float4 box) {
    const float wide = (better.z < box.z ? better.z : box.z) - (better.x > box.x ? better.x : box.x);
    const float tall = (better.w < box.w ? better.w : box.w) - (better.y > box.y ? better.y : box.y);
    const float inter = at_least_zero(wide) * at_least_zero(tall);
    const float together = area_of(better) + area_of(box) - inter;
    return inter / (together < 1e-12f ? 1e-12f : together);
}

__device__ inline unsigned bits_below(int bit) {
    return (1u << bit) - 1u;
}

// Input pixels to a frame coordinate. row: a, b, shift, and what rounding a and b to single precision cut off, so
// that a 4K frame's coordinates are off by no more than their own rounding.
__device__ inline float frame_coordinate(const float* row, float x, float y) {
    const float small = __fmaf_rn(row[3], x, __fmaf_rn(row[4], y, row[2]));
    return __fmaf_rn(row[0], x, __fmaf_rn(row[1], y, small));
}

}  // namespace suppress

// Notes for each candidate which better ones overlap it by more than iou.
// overlaps: word w of candidate i, for the better candidates 32 w ..., lies at w * most + i; only words that hold
// better candidates are written.
extern "C" __global__ void vultus_overlaps(const float4* boxes, const unsigned* found, int most, float iou,
                                           unsigned* overlaps) {
    const int count = int(*found) < most ? int(*found) : most;
    const int words = (count + 31) / 32, step = int(gridDim.x * blockDim.x);
    for (int item = int(blockIdx.x * blockDim.x + threadIdx.x); item < count * words; item += step) {
        const int word = item / count, self = item - word * count;
        const int last = self - 32 * word < 32 ? self - 32 * word : 32;
        if (last <= 0) continue;
        const float4 box = boxes[self];
        unsigned bits = 0;
        for (int bit = 0; bit < last; bit++) {
            bits |= (suppress::overlap_of(boxes[32 * word + bit], box) > iou ? 1u : 0u) << bit;
        }
        overlaps[word * most + self] = bits;
    }
}

// One block: decides who stands and writes the records of the first `faces` of them, and their number.
// back: (2, 5) a row a frame coordinate, see frame_coordinate. layout: where the record's fields lie, in words.
// found: set to 0 for the next frame.
extern "C" __global__ void vultus_suppress(ANCHOR_MAPS, const int* levels, int level_count, const float* cells,
                                           float centre_variance, const float* back, const int* layout,
                                           const float* boxes, const int* order, const unsigned* overlaps,
                                           unsigned* found, int most, int faces, unsigned* records, int* count) {
    __shared__ unsigned stands[suppress::LARGEST_WORDS], fallen[suppress::LARGEST_WORDS];
    __shared__ int before[suppress::LARGEST_WORDS], survivors[suppress::LARGEST_FACES];
    __shared__ unsigned open;
    const int lane = int(threadIdx.x), lanes = int(blockDim.x);
    const int total = int(*found) < most ? int(*found) : most;
    const int words = (total + 31) / 32;
    for (int word = lane; word < words; word += lanes) stands[word] = fallen[word] = 0u;
    if (lane == 0) open = 1u;
    __syncthreads();
    if (lane == 0) *found = 0u;

    while (open) {
        unsigned standing = 0u, falling = 0u, waiting = 0u;  // a bit for each candidate of this thread
        for (int self = lane, mine = 0; self < total; self += lanes, mine++) {
            const unsigned bit = 1u << (self % 32);
            if ((stands[self / 32] | fallen[self / 32]) & bit) continue;
            unsigned struck = 0u, undecided = 0u;
            // To the end even when struck: reads that need not wait for each other cost less.
#pragma unroll 8
            for (int word = 0; word < (self + 31) / 32; word++) {
                const unsigned better = overlaps[word * most + self];
                struck |= better & stands[word];
                undecided |= better & ~fallen[word];
            }
            standing |= (struck || undecided ? 0u : 1u) << mine;
            falling |= (struck ? 1u : 0u) << mine;
            waiting |= (!struck && undecided ? 1u : 0u) << mine;
        }
        __syncthreads();
        if (lane == 0) open = 0u;
        for (int self = lane, mine = 0; self < total; self += lanes, mine++) {
            if (standing >> mine & 1u) atomicOr(&stands[self / 32], 1u << (self % 32));
            if (falling >> mine & 1u) atomicOr(&fallen[self / 32], 1u << (self % 32));
        }
        __syncthreads();
        if (waiting) atomicOr(&open, 1u);
        __syncthreads();
    }

    for (int word = lane; word < words; word += lanes) {
        int sum = 0;
        for (int earlier = 0; earlier < word; earlier++) sum += __popc(stands[earlier]);
        before[word] = sum;
    }
    __syncthreads();
    const int all = words ? before[words - 1] + __popc(stands[words - 1]) : 0;
    const int kept = all < faces ? all : faces;
    if (lane == 0) *count = kept;
    for (int self = lane; self < total; self += lanes) {
        const unsigned row = stands[self / 32];
        const int place = before[self / 32] + __popc(row & suppress::bits_below(self % 32));
        if (row >> (self % 32) & 1u && place < faces) survivors[place] = self;
    }
    __syncthreads();

    const int size = layout[0];
    for (int item = lane; item < kept * size; item += lanes) {
        const int face = item / size, word = item - face * size, self = survivors[face];
        const int corner = word - layout[1], spot = word - layout[3];
        unsigned bits = numbers::NOT_MEASURED;
        if (word == layout[4]) bits = 0xffffffffu;  // no track
        if (corner >= 0 && corner < 4) {
            const float* at = boxes + 4 * self + (corner & 2);
            bits = __float_as_uint(suppress::frame_coordinate(back + 5 * (corner & 1), at[0], at[1]));
        }
        if (word == layout[2] || (spot >= 0 && spot < 10)) {
            const anchors::Anchor anchor =
                anchors::anchor_at(map0, map1, map2, map3, map4, map5, levels, level_count, cells, order[self]);
            if (word == layout[2]) {
                bits = __float_as_uint(numbers::sigmoid_of(anchor.values[0]));
            } else {
                const float* values = anchor.values + (5 + (spot & ~1)) * anchor.plane;
                const float reach = centre_variance * anchor.size;
                const float x = anchors::centre_of(anchor.x, values[0], reach);
                const float y = anchors::centre_of(anchor.y, values[anchor.plane], reach);
                bits = __float_as_uint(suppress::frame_coordinate(back + 5 * (spot & 1), x, y));
            }
        }
        records[item] = bits;
    }
}

VULTUS_KERNEL(vultus_overlaps)
VULTUS_KERNEL(vultus_suppress)
