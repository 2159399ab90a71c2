// Frames into the top left of the detector's input, as OpenCV's INTER_LINEAR resizes 8-bit pictures, bit for bit.
//
// OpenCV weighs with whole numbers out of 2048 and drops 4 + 16 bits on the way; the tables with the places and the
// weights of every column and row come from the host, which has double precision. A thread makes one pixel of the
// tensor: neighbours in a warp then read neighbouring bytes and write whole lines of 128 bytes.
#include "common.cuh"

namespace letterbox {

// columns and rows: first place, second place, their weights.
template <class Source>
__device__ inline void run(const Source& source, const int4* columns, const int4* rows, int inner_width,
                           int inner_height, const picture::Planes& planes) {
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    if (x >= planes.width || y >= planes.height) return;
    if (x >= inner_width || y >= inner_height) {
        planes.put_zero(0, x, y);
        return;
    }
    const int4 column = columns[x], row = rows[y];
    picture::Pixel a, b, c, d, mixed;
    source.pair(column.x, column.y, row.x, a, b);
    source.pair(column.x, column.y, row.y, c, d);
    for (int k = 0; k < 3; k++) {
        const int top = (a.v[k] * column.z + b.v[k] * column.w) >> 4;
        const int bottom = (c.v[k] * column.z + d.v[k] * column.w) >> 4;
        mixed.v[k] = ((top * row.z >> 16) + (bottom * row.w >> 16) + 2) >> 2;
    }
    planes.put(0, x, y, mixed);
}

}  // namespace letterbox

#define LETTERBOX_PARAMETERS                                                                                      \
    const int4 *columns, const int4 *rows, int inner_width, int inner_height, PLANES_PARAMETERS

extern "C" __global__ void vultus_letterbox_colour(const unsigned char* base, int pitch, int words,
                                                   LETTERBOX_PARAMETERS) {
    letterbox::run(picture::Colour{base, pitch, words}, columns, rows, inner_width, inner_height, PLANES);
}

extern "C" __global__ void vultus_letterbox_grey(const unsigned char* base, int pitch, LETTERBOX_PARAMETERS) {
    letterbox::run(picture::Grey{base, pitch}, columns, rows, inner_width, inner_height, PLANES);
}

extern "C" __global__ void vultus_letterbox_nv12(const unsigned char* base, int pitch, NV12_PARAMETERS,
                                                 LETTERBOX_PARAMETERS) {
    letterbox::run(NV12(base, pitch), columns, rows, inner_width, inner_height, PLANES);
}

VULTUS_KERNEL(vultus_letterbox_colour)
VULTUS_KERNEL(vultus_letterbox_grey)
VULTUS_KERNEL(vultus_letterbox_nv12)
