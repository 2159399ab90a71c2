// Raw outputs of a face network to the fields of the records: the device's half of vultus.decode.heads.
//
// One block decodes one head of one face. What a head is and where its numbers go comes as a table of the host,
// which takes it from the record itself.
#include "numbers.cuh"

namespace attributes {

const int HEADS = 12;  // outputs that one launch takes
const int LANES = 32;
const int LARGEST_COUNT = 512;  // ages
const int HEAD_NUMBERS = 16;  // a row of the table: kind, width, first, count, group, then words of the record
const int POINTS = 5;  // of a record, beside its landmarks
const int PLACES = 5;  // column of the first word; -1 for a label that another head writes
enum Kind { SOFTMAX, SIGMOID, GROUP_AGE, LANDMARKS, EULER, PERCENT };

struct Job {
    const float* values;
    const float* affine;
    const int* head;
    unsigned* record;
    int lane;
    bool measured;
};

__device__ inline void write(const Job& job, int word, float value) {
    if (word >= 0) {
        job.record[word] = job.measured ? __float_as_uint(value) : numbers::NOT_MEASURED;
    }
}

// Sum over the block, always in the same order; everybody gets it.
__device__ inline float sum_of(float value, float* parts, int lane) {
    parts[lane] = value;
    __syncthreads();
    for (int half = LANES / 2; half; half /= 2) {
        if (lane < half) parts[lane] += parts[lane + half];
        __syncthreads();
    }
    const float sum = parts[0];
    __syncthreads();
    return sum;
}

__device__ inline void write_softmax(const Job& job) {
    const int width = job.head[1];
    float top = job.values[0], sum = 0.0f;
    for (int k = 1; k < width; k++) top = job.values[k] > top ? job.values[k] : top;
    for (int k = 0; k < width; k++) sum += numbers::exp_of(job.values[k] - top);
    for (int k = job.lane; k < width; k += LANES) {
        write(job, job.head[PLACES + k], numbers::exp_of(job.values[k] - top) / sum);
    }
}

__device__ inline void write_sigmoid(const Job& job, float scale) {
    for (int k = job.lane; k < job.head[1]; k += LANES) {
        write(job, job.head[PLACES + k], scale * numbers::sigmoid_of(job.values[k]));
    }
}

// Evidence of an age: the mean of the logits of the groups that hold it.
__device__ inline float evidence_of(const float* values, int age, int group) {
    float sum = 0.0f;
    for (int k = 0; k < group; k++) sum += values[age + k];
    return sum / float(group);
}

// The likeliest age, the earliest of equals, and its evidence.
__device__ inline int peak_of(const float* evidence, int count, int lane, float* top, int* peaks) {
    int peak = lane < count ? lane : 0;
    for (int age = lane; age < count; age += LANES) peak = evidence[age] > evidence[peak] ? age : peak;
    peaks[lane] = peak;
    __syncthreads();
    peak = 0;
    for (int k = 0; k < LANES; k++) {
        const int other = peaks[k];
        const bool earlier = evidence[other] == evidence[peak] && other < peak;
        peak = evidence[other] > evidence[peak] || earlier ? other : peak;
    }
    *top = evidence[peak];
    __syncthreads();
    return peak;
}

// Ages are counted from the peak, so that the sums stay small and exact.
__device__ inline void write_age(const Job& job, float* shares, float* parts, int* peaks) {
    const int first = job.head[2], count = job.head[3], group = job.head[4], lane = job.lane;
    for (int age = lane; age < count; age += LANES) shares[age] = evidence_of(job.values, age, group);
    __syncthreads();
    float top;
    const int peak = peak_of(shares, count, lane, &top, peaks);
    float all = 0.0f, around = 0.0f, moment = 0.0f;
    for (int age = lane; age < count; age += LANES) {
        const int away = age - peak;
        const float share = numbers::exp_of(shares[age] - top);
        shares[age] = share;
        all += share;
        if (away > group || away < -group) continue;
        around += share;
        moment += share * float(away);
    }
    all = sum_of(all, parts, lane);
    around = sum_of(around, parts, lane);
    const float shift = sum_of(moment, parts, lane) / around;
    float square = 0.0f;
    for (int age = lane; age < count; age += LANES) {
        const float away = float(age - peak) - shift;
        square += shares[age] * away * away;
    }
    square = sum_of(square, parts, lane);
    if (lane == 0) {
        write(job, job.head[PLACES], float(first + peak) + shift);
        write(job, job.head[PLACES + 1], __fsqrt_rn(square / all));
    }
}

// Shares of the crop's side (first x count pixels) to frame pixels, two words of the record.
__device__ inline void write_place(const Job& job, int word, float across, float down) {
    const float* m = job.affine;
    const float det = numbers::difference_of_products(m[0], m[4], m[1], m[3]);
    const float x = (across + 0.5f) * float(job.head[2]) - 0.5f - m[2];
    const float y = (down + 0.5f) * float(job.head[3]) - 0.5f - m[5];
    write(job, word, numbers::difference_of_products(m[4], x, m[1], y) / det);
    write(job, word + 1, numbers::difference_of_products(m[0], y, m[3], x) / det);
}

// One of the five points: the centre of an eye's six landmarks, the nose's tip, a corner of the mouth.
__device__ inline void write_point(const Job& job, int point) {
    const int first = point < 2 ? 36 + 6 * point : point == 2 ? 30 : 48 + 6 * (point - 3);
    const int count = point < 2 ? 6 : 1;
    float across = 0.0f, down = 0.0f;
    for (int k = first; k < first + count; k++) {
        across += job.values[2 * k];
        down += job.values[2 * k + 1];
    }
    write_place(job, job.head[PLACES + 1] + 2 * point, across / float(count), down / float(count));
}

// The five points follow where there are landmarks; else they stay the detector's.
__device__ inline void write_landmarks(const Job& job) {
    for (int k = job.lane; 2 * k < job.head[1]; k += LANES) {
        write_place(job, job.head[PLACES] + 2 * k, job.values[2 * k], job.values[2 * k + 1]);
    }
    if (job.measured && job.head[PLACES + 1] >= 0 && job.lane < POINTS) write_point(job, job.lane);
}

// Units of 90 degrees; the crop's own turn comes off the roll, which then lies in -180 ... 180.
__device__ inline void write_euler(const Job& job) {
    if (job.lane >= 3) return;
    float angle = 90.0f * job.values[job.lane];
    if (job.lane == 2) {
        angle -= numbers::degrees_of(job.affine[3], job.affine[0]);
        angle -= 360.0f * floorf((angle + 180.0f) / 360.0f);
    }
    write(job, job.head[PLACES] + job.lane, angle);
}

}  // namespace attributes

#define HEAD_MAPS                                                                                               \
    const float *map0, const float *map1, const float *map2, const float *map3, const float *map4,             \
        const float *map5, const float *map6, const float *map7, const float *map8, const float *map9,         \
        const float *map10, const float *map11

// Grid: heads x faces; a block of attributes::LANES threads. heads: a row of the table for each output, in order.
// affines: (faces, 2, 3) frame -> crop. Face i of the outputs and affines is record start + i; those of no face stay.
extern "C" __global__ void vultus_attributes(HEAD_MAPS, const int* heads, const float* affines, const int* count,
                                             int start, unsigned* records, int record_words) {
    __shared__ float shares[attributes::LARGEST_COUNT], parts[attributes::LANES];
    __shared__ int peaks[attributes::LANES];
    __shared__ unsigned broken;
    const int face = int(blockIdx.y), lane = int(threadIdx.x);
    if (start + face >= *count) return;
    const float* maps[attributes::HEADS] = {map0, map1, map2, map3, map4,  map5,
                                            map6, map7, map8, map9, map10, map11};
    const float* map = maps[0];
#pragma unroll
    for (int k = 1; k < attributes::HEADS; k++) map = int(blockIdx.x) == k ? maps[k] : map;
    const int* head = heads + blockIdx.x * attributes::HEAD_NUMBERS;
    const int width = head[1];
    const float* values = map + face * width;
    if (lane == 0) broken = 0u;
    __syncthreads();
    bool finite = true;
    for (int k = lane; k < width; k += attributes::LANES) finite = finite && numbers::is_finite(values[k]);
    if (!finite) atomicOr(&broken, 1u);
    __syncthreads();
    const attributes::Job job{values, affines + 6 * face, head, records + (start + face) * record_words, lane, !broken};
    switch (head[0]) {
        case attributes::SOFTMAX: attributes::write_softmax(job); break;
        case attributes::SIGMOID: attributes::write_sigmoid(job, 1.0f); break;
        case attributes::GROUP_AGE: attributes::write_age(job, shares, parts, peaks); break;
        case attributes::LANDMARKS: attributes::write_landmarks(job); break;
        case attributes::EULER: attributes::write_euler(job); break;
        case attributes::PERCENT: attributes::write_sigmoid(job, 100.0f); break;
    }
}

VULTUS_KERNEL(vultus_attributes)
