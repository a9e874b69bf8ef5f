// parallel_work_items.cpp - threads, Ctrl-C and progress live here and nowhere else.
#include "parallel_work_items.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <new>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <pybind11/pybind11.h>

#include "errors.h"
#include "float_environment.h"

namespace py = pybind11;

namespace
{

constexpr auto poll_interval = std::chrono::milliseconds(20);

class WorkItemPool
{
  public:
    WorkItemPool(std::size_t items, const DoWorkItem &work) : items_(items), work_(work)
    {
    }

    // Without the GIL: starts the threads, waits for them, polls.
    void run(int threads, const PollProgress &poll)
    {
        start(threads);
        std::unique_lock<std::mutex> lock(mutex_);
        while (!all_ended_.wait_for(lock, poll_interval, [this] { return running_ == 0; })) {
            lock.unlock();
            if (!cancel_.load())
                look_at_python(poll);
            lock.lock();
        }
        lock.unlock();
        for (auto &thread : threads_)
            thread.join();
    }

    // With the GIL: throws if anything went wrong.
    void raise_if_failed() const
    {
        if (exception_)
            std::rethrow_exception(exception_);
        if (has_failed_)
            check(status_, error_);
        if (stopped_)
            raise_error(NBH_CANCELLED, "", "the progress callback asked to stop");
    }

  private:
    void start(int threads)
    {
        threads_.reserve(static_cast<std::size_t>(threads));
        try {
            for (int i = 0; i < threads; i++) {
                {
                    const std::lock_guard<std::mutex> lock(mutex_);
                    running_++;
                }
                threads_.emplace_back([this] { work_until_done(); });
            }
        } catch (const std::system_error &problem) {
            cancel_ = 1;
            const std::lock_guard<std::mutex> lock(mutex_);
            running_--;
            has_failed_ = true;
            failed_item_ = 0;
            status_ = NBH_OUT_OF_MEMORY;
            std::string("threads").copy(error_.field, sizeof error_.field - 1);
            const std::string message = "got " + std::to_string(threads) +
                                        ", but the system started only " +
                                        std::to_string(threads_.size()) + ": " + problem.what();
            message.copy(error_.message, sizeof error_.message - 1);
        }
    }

    void work_until_done()
    {
        const DefaultFloatEnvironment environment;
        // The flag is written atomically here and read as a plain volatile by the C library.
        static_assert(sizeof cancel_ == sizeof(std::int32_t), "the C side reads an int32_t");
        const auto flag = reinterpret_cast<CancelFlag>(&cancel_);
        while (!cancel_.load()) {
            const std::size_t item = next_.fetch_add(1);
            if (item >= items_)
                break;
            nbh_error error{};
            nbh_status status = NBH_OUT_OF_MEMORY;
            try {
                status = work_(item, flag, &error);
            } catch (const std::bad_alloc &) {
                std::string("for a part of the image")
                    .copy(error.message, sizeof error.message - 1);
            }
            if (status == NBH_OK)
                done_.fetch_add(1);
            else
                fail(item, status, error);
        }
        const std::lock_guard<std::mutex> lock(mutex_);
        if (--running_ == 0)
            all_ended_.notify_all();
    }

    void fail(std::size_t item, nbh_status status, const nbh_error &error)
    {
        cancel_ = 1;
        const std::lock_guard<std::mutex> lock(mutex_);
        if (status == NBH_CANCELLED || (has_failed_ && failed_item_ <= item))
            return;
        has_failed_ = true;
        failed_item_ = item;
        status_ = status;
        error_ = error;
    }

    void look_at_python(const PollProgress &poll)
    {
        try {
            const py::gil_scoped_acquire gil;
            if (PyErr_CheckSignals() != 0)
                throw py::error_already_set();
            stopped_ = !poll(done_.load());
        } catch (...) {
            exception_ = std::current_exception();
        }
        if (exception_ || stopped_)
            cancel_ = 1;
    }

    const std::size_t items_;
    const DoWorkItem &work_;
    std::atomic<std::size_t> next_{0};
    std::atomic<std::size_t> done_{0};
    std::atomic<std::int32_t> cancel_{0};
    std::mutex mutex_; // guards running_, has_failed_ to error_ while threads run
    std::condition_variable all_ended_;
    int running_ = 0;
    bool has_failed_ = false;
    std::size_t failed_item_ = 0;
    nbh_status status_ = NBH_OK;
    nbh_error error_{};
    bool stopped_ = false;
    std::exception_ptr exception_;
    std::vector<std::thread> threads_;
};

} // namespace

void parallel_work_items(std::size_t items, int threads, const DoWorkItem &work,
                         const PollProgress &poll)
{
    WorkItemPool pool(items, work);
    {
        const py::gil_scoped_release release;
        pool.run(static_cast<int>(std::min<std::size_t>(items, static_cast<std::size_t>(threads))),
                 poll);
    }
    pool.raise_if_failed();
}

void in_this_thread(std::size_t items, const DoWorkItem &work)
{
    const std::int32_t never = 0;
    nbh_error error{};
    nbh_status status = NBH_OK;
    {
        const py::gil_scoped_release unlocked;
        const DefaultFloatEnvironment environment;
        for (std::size_t n = 0; n < items && status == NBH_OK; n++)
            status = work(n, &never, &error);
    }
    check(status, error);
}
