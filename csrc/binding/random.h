// random.h - the generator's state, which threads may take and put back.
#pragma once

#include <mutex>

#include "nbh/nbh.h"

class Random
{
  public:
    explicit Random(const nbh_random &state) : state_(state)
    {
    }
    Random(const Random &) = delete;
    Random &operator=(const Random &) = delete;

    nbh_random get() const
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        return state_;
    }
    void set(const nbh_random &state)
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        state_ = state;
    }

  private:
    mutable std::mutex mutex_;
    nbh_random state_;
};
