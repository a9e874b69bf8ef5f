// philox.h - Philox4x64-10 (Salmon, Moraes, Dror and Shaw, 2011, doi 10.1145/2063384.2063405): the
// numbers of a key and a counter, in the order in which numpy's bit generator gives them.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

class Philox
{
  public:
    using Key = std::array<std::uint64_t, 2>;
    using Counter = std::array<std::uint64_t, 4>;

    Philox(const Key &key, const Counter &counter) : counter_(counter)
    {
        keys_[0] = key;
        for (std::size_t round = 1; round < rounds; round++)
            keys_[round] = {keys_[round - 1][0] + 0x9e3779b97f4a7c15U,
                            keys_[round - 1][1] + 0xbb67ae8584caa73bU};
    }

    // Writes `count` numbers from number `first` on.
    void numbers(std::uint64_t first, std::size_t count, std::uint64_t *to) const
    {
        std::uint64_t block = first / words;
        for (std::size_t skipped = first % words; count > 0; skipped = 0) {
            if (skipped == 0 && count >= words) {
                const std::size_t whole = count / words;
                for (std::size_t n = 0; n < whole; n++)
                    of_block(block + n, to + words * n);
                block += whole;
                to += words * whole;
                count -= words * whole;
            } else {
                std::array<std::uint64_t, words> made{};
                of_block(block++, made.data());
                const std::size_t used = std::min(words - skipped, count);
                to = std::copy_n(made.data() + skipped, used, to);
                count -= used;
            }
        }
    }

  private:
    static constexpr std::size_t rounds = 10, words = 4;

    // The block before the first one is that of the counter as it is given.
    void of_block(std::uint64_t block, std::uint64_t *to) const
    {
        const std::uint64_t low = counter_[0] + block + 1;
        std::uint64_t carry = low <= block ? 1 : 0;
        Counter x = {low, counter_[1], counter_[2], counter_[3]};
        for (std::size_t n = 1; n < words; n++) {
            x[n] += carry;
            carry = carry != 0 && x[n] == 0 ? 1 : 0;
        }
        for (const Key &key : keys_) {
            const Product first = product(0xd2e7470ee14c6c93U, x[0]);
            const Product second = product(0xca5a826395121157U, x[2]);
            x = {second.high ^ x[1] ^ key[0], second.low, first.high ^ x[3] ^ key[1], first.low};
        }
        std::copy_n(x.data(), words, to);
    }

    struct Product {
        std::uint64_t low, high;
    };

    static Product product(std::uint64_t a, std::uint64_t b)
    {
#ifdef __SIZEOF_INT128__
        typedef unsigned wide __attribute__((mode(TI))); // 128 bits
        const wide whole = static_cast<wide>(a) * b;
        return {static_cast<std::uint64_t>(whole), static_cast<std::uint64_t>(whole >> 64)};
#else
        constexpr std::uint64_t half = 0xffffffffU;
        const std::uint64_t low = (a & half) * (b & half), cross = (a >> 32) * (b & half);
        const std::uint64_t middle = (low >> 32) + (cross & half) + (a & half) * (b >> 32);
        const std::uint64_t high = (a >> 32) * (b >> 32) + (cross >> 32) + (middle >> 32);
        return {(middle << 32) | (low & half), high};
#endif
    }

    Counter counter_;
    std::array<Key, rounds> keys_{};
};
