// row_groups.h - rows in groups that do not depend on the number of threads.
//
// What rows share is added up group by group: derivatives have the same bits on any number of
// threads.  Each group that has derivatives keeps its own, so there are few where those are many.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "errors.h"
#include "nbh/nbh.h"
#include "parallel_work_items.h"

constexpr std::int64_t most_groups = 64;
constexpr std::int64_t least_rows = 256;
constexpr std::int64_t most_shared_numbers = 1 << 21; // of all groups: 16 MiB

// Rows of a group if there may be so many groups; a multiple of least_rows.
inline std::int64_t rows_of_group(std::int64_t rows, std::int64_t groups)
{
    const std::int64_t tiles = (rows + least_rows - 1) / least_rows;
    return std::max<std::int64_t>((tiles + groups - 1) / groups, 1) * least_rows;
}

// At least one, which may be empty: then there is somebody who checks what is asked.
inline std::int64_t group_count(std::int64_t rows, std::int64_t group)
{
    return std::max<std::int64_t>((rows + group - 1) / group, 1);
}

// Of rows times what each takes: less is done before a thread has started.
constexpr std::int64_t brief_steps = 1 << 18;

// Calls work(first, end, number of the group, cancel, error) for every group; steps: how many
// evaluations of the innermost formula there are in all.
template <typename Work>
void for_row_groups(std::int64_t rows, std::int64_t group, double steps, int threads,
                    const Work &work)
{
    constexpr int max_threads = 1024;
    if (threads < 1 || threads > max_threads)
        raise_error(NBH_INVALID, "threads",
                    "got " + std::to_string(threads) + ", need 1 to " +
                        std::to_string(max_threads));
    const auto groups = static_cast<std::size_t>(group_count(rows, group));
    const DoWorkItem item = [&](std::size_t n, CancelFlag cancel, nbh_error *error) {
        const std::int64_t first = static_cast<std::int64_t>(n) * group;
        return work(first, std::min(first + group, rows), n, cancel, error);
    };
    if (steps < brief_steps) {
        in_this_thread(groups, item);
        return;
    }
    const PollProgress go_on = [](std::size_t /*done*/) { return true; };
    parallel_work_items(groups, threads, item, go_on);
}
