// parallel_work_items.h - the work items of one image on several threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "nbh/nbh.h"

// Set to 1 when the work should stop; libnbh looks at it again and again.
using CancelFlag = const volatile std::int32_t *;

// Does one work item; called without the GIL, from any thread, in the default floating-point
// environment.
using DoWorkItem = std::function<nbh_status(std::size_t item, CancelFlag cancel, nbh_error *error)>;

// Called about every 20 ms with the GIL held; returns false to stop.  It may throw.
using PollProgress = std::function<bool(std::size_t items_done)>;

// Calls work for items 0 .. items-1, each exactly once and in rising order of starting, on
// `threads` threads.  The calling thread holds the GIL, gives it up while it waits, and looks for
// signals and polls meanwhile.  Throws after every thread has ended: the exception of a signal
// handler or of poll, or _core.Error with the failure of the lowest item (NBH_CANCELLED if poll
// said stop).
void parallel_work_items(std::size_t items, int threads, const DoWorkItem &work,
                         const PollProgress &poll);

// The same for work that takes no time worth a thread: nobody can stop it.
void in_this_thread(std::size_t items, const DoWorkItem &work);
