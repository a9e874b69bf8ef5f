// omega_sum.h - the solid angle of an image whose parts are finished in any order.
#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

// Adds pixel after pixel to a row's sum and row after row to the image's, as nbh_rows says: the
// same bits however the image is divided.  Parts that are early wait.
class OmegaSum
{
  public:
    struct Part {
        std::vector<double> first_row; // of its pixels; empty: the part begins with a row
        std::vector<double> row_sums;  // of its rows, one at least
    };

    // Takes part 0, 1, 2... from any thread.
    void add(std::size_t number, Part part)
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        waiting_.emplace(number, std::move(part));
        while (!waiting_.empty() && waiting_.begin()->first == next_) {
            add_next(waiting_.begin()->second);
            waiting_.erase(waiting_.begin());
            next_++;
        }
    }

    // Of all parts, once they are there.
    double total() const
    {
        return rows_ + row_;
    }

  private:
    void add_next(const Part &part)
    {
        for (const double omega : part.first_row)
            row_ += omega;
        for (std::size_t i = part.first_row.empty() ? 0 : 1; i < part.row_sums.size(); i++) {
            rows_ += row_;
            row_ = part.row_sums[i];
        }
    }

    std::mutex mutex_;
    std::map<std::size_t, Part> waiting_;
    std::size_t next_ = 0;
    double rows_ = 0.0; // sum over the rows before the one that row_ is of
    double row_ = 0.0;
};
