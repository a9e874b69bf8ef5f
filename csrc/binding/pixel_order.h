// pixel_order.h - pixels in an order in which those that follow each other are neighbours.
#pragma once

#include <cstdint>
#include <vector>

struct OrderedPixel {
    std::int64_t place; // in the caller's order
    bool is_first;      // else it is repeated, for the next pixel to begin a tile
};

// In bands of eight rows, and in these column by column: 32 that follow each other are 4 * 8 pixels
// where all are there.
std::vector<OrderedPixel> neighbours(const std::int32_t *slow, const std::int32_t *fast,
                                     std::int64_t count);
