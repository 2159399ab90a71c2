// From the raw maps of an anchor detector to boxes in the order of their scores.
//
// Every candidate gets a key that no other has, so its rank is the number of smaller keys: the order in which
// threads found the candidates leaves no trace.
#include "anchors.cuh"

namespace candidates {

const int SLICES = 8;  // threads that share the counting for one candidate
const unsigned ARRIVED = 1u << 24;  // one slice has counted; the bits below hold the rank
const unsigned RANK = ARRIVED - 1u;

// Falling logits give rising keys, equal ones go by anchor; both zeros are equal.
__device__ inline unsigned long long key_of(float logit, int anchor) {
    const unsigned bits = __float_as_uint(logit + 0.0f);
    const unsigned rising = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return (unsigned long long)(~rising) << 32 | unsigned(anchor);
}

__device__ inline bool all_finite(const anchors::Anchor& anchor) {
    bool finite = true;
    for (int k = 0; k < anchors::VALUES; k++) {
        finite = finite && numbers::is_finite(anchor.values[k * anchor.plane]);
    }
    return finite;
}

}  // namespace candidates

// Collects the anchors whose logit reaches the threshold and whose numbers are all finite.
// keys, ranks: one for every anchor. found: how many, 0 before.
extern "C" __global__ void vultus_candidates(ANCHOR_MAPS, const int* levels, int level_count, const float* cells,
                                             int anchor_count, float threshold, unsigned long long* keys,
                                             unsigned* ranks, unsigned* found) {
    const int step = int(gridDim.x * blockDim.x);
    for (int index = int(blockIdx.x * blockDim.x + threadIdx.x); index < anchor_count; index += step) {
        const anchors::Anchor anchor =
            anchors::anchor_at(map0, map1, map2, map3, map4, map5, levels, level_count, cells, index);
        const float logit = anchor.values[0];
        if (!(logit >= threshold) || !candidates::all_finite(anchor)) continue;
        const unsigned slot = atomicAdd(found, 1u);
        keys[slot] = candidates::key_of(logit, index);
        ranks[slot] = 0u;
    }
}

// Writes the boxes (input pixels) and anchors of the `most` best candidates, best first.
// The last slice of a candidate to arrive knows its rank and puts it there.
extern "C" __global__ void vultus_rank(ANCHOR_MAPS, const int* levels, int level_count, const float* cells,
                                       float centre_variance, float size_variance, const unsigned long long* keys,
                                       unsigned* ranks, const unsigned* found, int most, float* boxes, int* order) {
    const int count = int(*found), step = int(gridDim.x * blockDim.x);
    const int items = count * candidates::SLICES;
    for (int item = int(blockIdx.x * blockDim.x + threadIdx.x); item < items; item += step) {
        const int self = item / candidates::SLICES;
        const unsigned long long key = keys[self];
        unsigned better = 0;
        for (int other = item % candidates::SLICES; other < count; other += candidates::SLICES) {
            better += keys[other] < key ? 1u : 0u;
        }
        const unsigned before = atomicAdd(&ranks[self], better + candidates::ARRIVED);
        const unsigned rank = (before + better) & candidates::RANK;
        if (before / candidates::ARRIVED + 1u < unsigned(candidates::SLICES) || rank >= unsigned(most)) continue;
        const int index = int(unsigned(key));
        const anchors::Anchor anchor =
            anchors::anchor_at(map0, map1, map2, map3, map4, map5, levels, level_count, cells, index);
        const float* values = anchor.values + anchor.plane;
        const float reach = centre_variance * anchor.size;
        const float x = anchors::centre_of(anchor.x, values[0], reach);
        const float y = anchors::centre_of(anchor.y, values[anchor.plane], reach);
        const float wide = anchors::half_side(anchor.size, values[2 * anchor.plane], size_variance);
        const float tall = anchors::half_side(anchor.size, values[3 * anchor.plane], size_variance);
        float* box = boxes + 4 * rank;
        box[0] = x - wide;
        box[1] = y - tall;
        box[2] = x + wide;
        box[3] = y + tall;
        order[rank] = index;
    }
}

VULTUS_KERNEL(vultus_candidates)
VULTUS_KERNEL(vultus_rank)
