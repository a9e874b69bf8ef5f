// pixel_order.cpp - a sort by counting, or by comparing where pixels are few and far between.
#include "pixel_order.h"

#include <algorithm>
#include <cstddef>
#include <numeric>

namespace
{

constexpr std::int64_t band_rows = 8;
constexpr std::int64_t tile_pixels = 32;
// A band with so many pixels is filled up to whole tiles.
constexpr std::int64_t many_pixels = 8 * tile_pixels;

// Each pixel's column of eight pixels; band after band.
struct Columns {
    std::int64_t width, first_fast, first_slow;

    std::int64_t of(std::int32_t slow, std::int32_t fast) const
    {
        return (slow - first_slow) / band_rows * width + (fast - first_fast);
    }
};

std::vector<std::int64_t> by_counting(const std::vector<std::int64_t> &columns,
                                      std::int64_t column_count)
{
    std::vector<std::int64_t> next(static_cast<std::size_t>(column_count) + 1);
    for (const std::int64_t column : columns)
        next[static_cast<std::size_t>(column) + 1]++;
    std::partial_sum(next.begin(), next.end(), next.begin());
    std::vector<std::int64_t> places(columns.size());
    for (std::size_t n = 0; n < columns.size(); n++)
        places[static_cast<std::size_t>(next[static_cast<std::size_t>(columns[n])]++)] =
            static_cast<std::int64_t>(n);
    return places;
}

std::vector<std::int64_t> by_comparing(const std::vector<std::int64_t> &columns)
{
    std::vector<std::int64_t> places(columns.size());
    std::iota(places.begin(), places.end(), std::int64_t{0});
    std::stable_sort(places.begin(), places.end(), [&](std::int64_t a, std::int64_t b) {
        return columns[static_cast<std::size_t>(a)] < columns[static_cast<std::size_t>(b)];
    });
    return places;
}

} // namespace

std::vector<OrderedPixel> neighbours(const std::int32_t *slow, const std::int32_t *fast,
                                     std::int64_t count)
{
    std::vector<OrderedPixel> found;
    if (count == 0)
        return found;
    const auto [first_slow, last_slow] = std::minmax_element(slow, slow + count);
    const auto [first_fast, last_fast] = std::minmax_element(fast, fast + count);
    const Columns layout{std::int64_t{*last_fast} - *first_fast + 1, *first_fast, *first_slow};
    std::vector<std::int64_t> columns(static_cast<std::size_t>(count));
    for (std::int64_t n = 0; n < count; n++)
        columns[static_cast<std::size_t>(n)] = layout.of(slow[n], fast[n]);
    const std::int64_t column_count = layout.of(*last_slow, *last_fast) + 1;
    const std::vector<std::int64_t> places =
        column_count <= 4 * count ? by_counting(columns, column_count) : by_comparing(columns);
    found.reserve(places.size() + places.size() / 8);
    std::int64_t band = 0, in_band = 0;
    for (const std::int64_t place : places) {
        const std::int64_t own = columns[static_cast<std::size_t>(place)] / layout.width;
        if (own != band) {
            if (in_band >= many_pixels) {
                const OrderedPixel last{found.back().place, false};
                for (; in_band % tile_pixels != 0; in_band++)
                    found.push_back(last);
            }
            band = own;
            in_band = 0;
        }
        found.push_back({place, true});
        in_band++;
    }
    return found;
}
