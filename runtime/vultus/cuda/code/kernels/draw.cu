// Boxes of FACE records drawn into the frame itself, as vultus.draw colours them by track.
//
// Where boxes cross, the better face lies on top: a thread writes a pixel only when no record before its own wants it,
// so the picture does not depend on the order of threads. A box is drawn by four threads' blocks, one for each side.
#include "common.cuh"

namespace draw {

const float FAR = 1e6f;  // no picture is as large; keeps wild coordinates within an int

// Corners of an outline's middle, all inside it, and how far the line reaches inwards and outwards.
struct Outline {
    int x1, y1, x2, y2, out, in;
    bool drawn;

    __device__ inline bool covers(int x, int y) const {
        const bool within = drawn && x >= x1 - out && x <= x2 + out && y >= y1 - out && y <= y2 + out;
        return within && !(x > x1 + in && x < x2 - in && y > y1 + in && y < y2 - in);
    }
};

struct Records {
    const float* words;
    int record_words, track_word, thickness;

    __device__ inline Outline outline(int item) const {
        const float* box = words + (picture::Size)item * record_words;
        int corner[4];
        bool finite = true;
        for (int k = 0; k < 4; k++) {
            const float size = box[k] < 0.0f ? -box[k] : box[k];
            finite = finite && size <= 3.4028235e38f;
            corner[k] = __float2int_rn(box[k] < -FAR ? -FAR : (box[k] > FAR ? FAR : box[k]));
        }
        return {min(corner[0], corner[2]), min(corner[1], corner[3]), max(corner[0], corner[2]),
                max(corner[1], corner[3]), thickness / 2, (thickness - 1) / 2, finite};
    }
    __device__ inline int track(int item) const {
        return __float_as_int(words[(picture::Size)item * record_words + track_word]);
    }
};

struct Target {
    unsigned char* base;
    unsigned char* chroma;
    int pitch, width, height, format;  // 0 colour, 1 grey, 2 NV12
};

// Whether a record before `item` wants any of the pixels x ... x + span, y ... y + span.
__device__ inline bool taken(const Records& records, int item, int x, int y, int span) {
    for (int other = 0; other < item; other++) {
        const Outline outline = records.outline(other);
        for (int k = 0; k < (span + 1) * (span + 1); k++) {
            if (outline.covers(x + k % (span + 1), y + k / (span + 1))) return true;
        }
    }
    return false;
}

__device__ inline void paint(const Target& frame, const Records& records, int item, int x, int y,
                             const unsigned char* colour) {
    unsigned char* row = frame.base + (picture::Size)y * frame.pitch;
    if (!taken(records, item, x, y, 0)) {
        if (frame.format == 0) {
            for (int k = 0; k < 3; k++) row[3 * x + k] = colour[k];
        } else {
            row[x] = colour[0];
        }
    }
    // The colour of four pixels is that of the best face on any of them.
    if (frame.format == 2 && !taken(records, item, x & ~1, y & ~1, 1)) {
        unsigned char* uv = frame.chroma + (picture::Size)(y >> 1) * frame.pitch + (x & ~1);
        uv[0] = colour[1];
        uv[1] = colour[2];
    }
}

// One side of an outline, cut off where the frame ends.
__device__ inline void side_of(const Outline& o, int side, int& x1, int& y1, int& x2, int& y2) {
    x1 = side == 3 ? max(o.x2 - o.in, o.x1 - o.out) : o.x1 - o.out;
    x2 = side == 2 ? min(o.x1 + o.in, o.x2 + o.out) : o.x2 + o.out;
    y1 = side == 1 ? max(o.y2 - o.in, o.y1 - o.out) : o.y1 - o.out;
    y2 = side == 0 ? min(o.y1 + o.in, o.y2 + o.out) : o.y2 + o.out;
}

}  // namespace draw

// records: words of 4 bytes, the box first. palette: (colours, 3) bytes in the frame's own kind, by track; the first
// is that of faces without one. Grid: 4 sides, capacity; any number of threads.
extern "C" __global__ void vultus_draw_boxes(unsigned char* base, unsigned char* chroma, int pitch, int width,
                                             int height, int format, const float* records, int record_words,
                                             int track_word, const int* count, const unsigned char* palette,
                                             int colours, int thickness) {
    const int item = int(blockIdx.y);
    if (item >= *count) return;
    const draw::Records all = {records, record_words, track_word, thickness};
    const draw::Target frame = {base, chroma, pitch, width, height, format};
    const draw::Outline outline = all.outline(item);
    if (!outline.drawn) return;
    int x1, y1, x2, y2;
    draw::side_of(outline, int(blockIdx.x), x1, y1, x2, y2);
    x1 = max(x1, 0);
    y1 = max(y1, 0);
    const int wide = min(x2, width - 1) - x1 + 1, tall = min(y2, height - 1) - y1 + 1;
    if (wide < 1 || tall < 1) return;
    const int track = all.track(item), place = track < 0 ? 0 : track % colours;
    for (int at = int(threadIdx.x); at < wide * tall; at += int(blockDim.x)) {
        const int x = x1 + at % wide, y = y1 + at / wide;
        draw::paint(frame, all, item, x, y, palette + 3 * place);
    }
}

VULTUS_KERNEL(vultus_draw_boxes)
