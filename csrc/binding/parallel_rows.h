// parallel_rows.h - rows of one image on several threads.
#pragma once

#include <cstdint>
#include <functional>

#include "nbh/nbh.h"

// Set to 1 when the rows should stop; libnbh looks at it again and again.
using CancelFlag = const volatile std::int32_t *;

// Does one row; called without the GIL, from any thread, in the default floating-point environment.
using RowWork = std::function<nbh_status(std::int32_t row, CancelFlag cancel, nbh_error *error)>;

// Called about every 20 ms with the GIL held; returns false to stop.  It may throw.
using RowPoll = std::function<bool(std::int32_t rows_done)>;

// Calls work for rows 0 .. rows-1, each exactly once and in rising order of starting, on `threads`
// threads.  The calling thread holds the GIL, gives it up while it waits, and looks for signals and
// polls meanwhile.  Throws after every thread has ended: the exception of a signal handler or of
// poll, or _core.Error with the failure of the lowest row (NBH_CANCELLED if poll said stop).
void parallel_rows(std::int32_t rows, int threads, const RowWork &work, const RowPoll &poll);
