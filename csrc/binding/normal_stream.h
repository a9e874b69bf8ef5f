// normal_stream.h - normal deviates, one after the other: those of numpy's standard_normal on a
// Philox generator, to the last bit where both have exp and log1p of one C library.
#pragma once

#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "normal_tables.h"
#include "philox.h"

// What one thread draws from.
class NormalStream
{
  public:
    NormalStream(const Philox::Key &key, const Philox::Counter &counter) : philox_(key, counter)
    {
    }

    // The next deviates, behind those that are skipped.
    void draw(double *to, std::size_t count)
    {
        std::array<double, 256> nowhere;
        while (skipped_ > 0) {
            const std::size_t some =
                skipped_ < nowhere.size() ? static_cast<std::size_t>(skipped_) : nowhere.size();
            fill(nowhere.data(), some);
            skipped_ -= some;
        }
        fill(to, count);
    }

    // Nobody wants the next ones: they are made when some behind them are asked for.
    void skip(std::size_t count)
    {
        skipped_ += count;
    }

  private:
    static constexpr double two_to_minus_53 = 0x1p-53;
    static constexpr std::size_t sides = 2 * normal_layers;
    static constexpr std::uint64_t most_steps = 0xfffffffffffffU;

    // The widths of the layers on the right, then those on the left.
    static constexpr std::array<double, sides> both_sides()
    {
        std::array<double, sides> made{};
        for (std::size_t n = 0; n < normal_layers; n++) {
            made[n] = normal_widths[n];
            made[normal_layers + n] = -normal_widths[n];
        }
        return made;
    }

    // Of a raw number bits 0 to 7 are the layer, 8 the side, 9 to 60 how far along the layer.
    void fill(double *to, std::size_t count)
    {
        static constexpr std::array<double, sides> widths = both_sides();
        double *const end = to + count;
        while (to < end) {
            if (next_ == raw_.size())
                refill();
            const std::size_t here = raw_.size() - next_,
                              wanted = static_cast<std::size_t>(end - to);
            const std::uint64_t *raw = raw_.data() + next_;
            const std::uint64_t *const last = raw + (here < wanted ? here : wanted);
            bool is_inside = true;
            for (; raw < last; raw++, to++) {
                const std::uint64_t steps = (*raw >> 9) & most_steps;
                *to = static_cast<double>(static_cast<std::int64_t>(steps)) * widths[*raw % sides];
                is_inside = steps < normal_inner[*raw % normal_layers];
                if (!is_inside)
                    break;
            }
            next_ = static_cast<std::size_t>(raw - raw_.data());
            if (!is_inside) {
                next_++;
                to += is_taken(*raw, to) ? 1 : 0;
            }
        }
    }

    // Of a point that may be above the curve: whether it is below it, or in the tail, where *x is
    // drawn anew.
    bool is_taken(std::uint64_t raw, double *x)
    {
        const std::size_t layer = raw % normal_layers;
        if (layer == 0) {
            *x = tail((raw >> 17) % 2 != 0);
            return true;
        }
        const double low = normal_heights[layer], high = normal_heights[layer - 1];
        return (high - low) * uniform() + low < std::exp(-0.5 * *x * *x);
    }

    double tail(bool is_left)
    {
        constexpr double begin = 3.6541528853610088;
        for (;;) {
            const double beyond = -(1.0 / begin) * std::log1p(-uniform());
            const double height = -std::log1p(-uniform());
            if (height + height > beyond * beyond)
                return is_left ? -(begin + beyond) : begin + beyond;
        }
    }

    double uniform()
    {
        if (next_ == raw_.size())
            refill();
        return static_cast<double>(static_cast<std::int64_t>(raw_[next_++] >> 11)) *
               two_to_minus_53;
    }

    void refill()
    {
        philox_.numbers(position_, raw_.size(), raw_.data());
        position_ += raw_.size();
        next_ = 0;
    }

    Philox philox_;
    std::uint64_t position_ = 0, skipped_ = 0;
    std::array<std::uint64_t, 512> raw_{};
    std::size_t next_ = raw_.size(); // the first number of raw_ that has no use yet
};
