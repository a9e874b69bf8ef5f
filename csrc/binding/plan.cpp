// plan.cpp - nbh_plan as a Python object that owns what it borrows and renders on threads.
#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include <pybind11/stl.h>

#include "arrays.h"
#include "background.h"
#include "dictionaries.h"
#include "errors.h"
#include "experiment.h"
#include "float_environment.h"
#include "nbh/nbh.h"
#include "omega_sum.h"
#include "parallel_work_items.h"
#include "random.h"
#include "reflections.h"
#include "registers.h"
#include "structure_factor_table.h"

namespace py = pybind11;

namespace
{

using Table = CArray<double>;
using Progress = std::optional<py::function>;

constexpr int max_threads = 1024;

void check_threads(int threads)
{
    if (threads < 1 || threads > max_threads)
        raise_error(NBH_INVALID, "threads",
                    "got " + std::to_string(threads) + ", need 1 to " +
                        std::to_string(max_threads));
}

class Plan
{
  public:
    Plan(const Experiment &experiment, std::optional<Table> amplitude, std::int32_t h_min,
         std::int32_t k_min, std::int32_t l_min, double default_f)
        : table_(std::move(amplitude), h_min, k_min, l_min, default_f)
    {
        nbh_error error{};
        nbh_status status = NBH_OK;
        {
            const std::lock_guard<std::mutex> lock(experiment.arrays);
            const DefaultFloatEnvironment environment;
            status = nbh_plan_create(&experiment.c, &table_.c(), &plan_, &error);
        }
        check(status, error);
    }
    ~Plan()
    {
        nbh_plan_destroy(plan_);
    }
    Plan(const Plan &) = delete;
    Plan &operator=(const Plan &) = delete;

    nbh_plan_info info() const
    {
        nbh_plan_info info{};
        nbh_error error{};
        check(nbh_plan_get_info(plan_, &info, &error), error);
        return info;
    }

    py::tuple render(int threads, const Progress &progress, bool want_unrounded)
    {
        const Rendered made =
            std::move(render_all({this}, threads, progress, want_unrounded, false)[0]);
        return py::make_tuple(made.image, made.unrounded, made.omega_sum, made.steps_visited);
    }

    // The same with the fast kernel's values before rounding, and the largest distance to the exact
    // ones, in photons and relative to the value.
    py::tuple render_bounded(int threads, const Progress &progress)
    {
        return to_tuple(render_all({this}, threads, progress, true, true)[0]);
    }

    // Several plans with one pool of threads: for each of them what render_bounded has, with
    // distances of 0 unless `bounded`.
    static py::list render_plans(const std::vector<Plan *> &plans, int threads,
                                 const Progress &progress, bool want_unrounded, bool bounded)
    {
        py::list all;
        for (const Rendered &made : render_all(plans, threads, progress, want_unrounded, bounded))
            all.append(to_tuple(made));
        return all;
    }

    // The interval of each pixel of the image: the fast kernel's, or the exact value twice.
    py::tuple intervals()
    {
        const nbh_plan_info size = info();
        settle(1, size.n_slow, std::nullopt);
        auto low = new_image<double>(size.n_slow, size.n_fast);
        auto high = new_image<double>(size.n_slow, size.n_fast);
        double *lows = low.mutable_data(), *highs = high.mutable_data();
        const DefaultFloatEnvironment environment;
        for (std::int32_t slow = 0; slow < size.n_slow; slow++) {
            for (std::int32_t fast = 0; fast < size.n_fast; fast++) {
                nbh_error error{};
                check(nbh_plan_pixel_interval(plan_, fast, slow, lows++, highs++, &error), error);
            }
        }
        return py::make_tuple(low, high);
    }

    // The pixels of these numbers (slow * n_fast + fast), by the exact kernel.
    CArray<float> exact_pixels(const std::vector<std::int64_t> &numbers, int threads)
    {
        check_threads(threads);
        const nbh_plan_info size = info();
        const std::int64_t all = std::int64_t{size.n_fast} * size.n_slow;
        for (const std::int64_t number : numbers)
            if (number < 0 || number >= all)
                raise_error(NBH_INVALID, "pixels",
                            "got number " + std::to_string(number) + ", need 0 to " +
                                std::to_string(all - 1));
        settle(threads, size.n_slow, std::nullopt);
        CArray<float> found({static_cast<py::ssize_t>(numbers.size())});
        float *pixels = found.mutable_data();
        const auto work = [&](std::size_t item, CancelFlag cancel, nbh_error *error) {
            double unrounded = 0.0; // asked for, so that the exact kernel computes it
            nbh_pixels part{};
            part.image = pixels + item;
            part.unrounded = &unrounded;
            part.cancel = cancel;
            return nbh_plan_render_pixels(plan_, numbers[item], numbers[item] + 1, &part, error);
        };
        parallel_work_items(numbers.size(), threads, work,
                            [](std::size_t /*done*/) { return true; });
        return found;
    }

    // The pixel's trace, the first `limit` of its steps that are of the choice (layer, sub_slow,
    // sub_fast, source, phi_step, domain; -1: any), and how many those are.
    py::tuple trace(std::int32_t fast, std::int32_t slow, const std::array<std::int32_t, 6> &chosen,
                    std::int64_t limit, int threads)
    {
        check_threads(threads);
        const nbh_plan_info size = info();
        settle(threads, size.n_slow, std::nullopt);
        const nbh_step_choice choice = {chosen[0], chosen[1], chosen[2],
                                        chosen[3], chosen[4], chosen[5]};
        const auto all = std::int64_t{size.steps} * size.sensor_layers;
        std::vector<nbh_step_trace> steps(
            static_cast<std::size_t>(std::clamp(limit, std::int64_t{0}, all)));
        nbh_trace trace{};
        std::int64_t count = 0;
        const auto work = [&](std::size_t /*item*/, CancelFlag cancel, nbh_error *error) {
            return nbh_plan_trace_steps(plan_, fast, slow, &choice,
                                        static_cast<std::int64_t>(steps.size()), steps.data(),
                                        &count, cancel, &trace, error);
        };
        parallel_work_items(1, 1, work, [](std::size_t /*done*/) { return true; });
        py::list recorded;
        for (std::size_t i = 0; i < steps.size() && static_cast<std::int64_t>(i) < count; i++)
            recorded.append(to_dict(steps[i]));
        return py::make_tuple(to_dict(trace), recorded, count);
    }

    // Photons beside the spots, (slow, fast), and for each scatterer and the radial curve in how
    // many pixels its curve was asked outside its rows.
    py::tuple background(const Background &background, int threads)
    {
        check_threads(threads);
        const nbh_plan_info size = info();
        auto photons = new_image<double>(size.n_slow, size.n_fast);
        double *pixels = photons.mutable_data();
        const nbh_background &c = background.c();
        const std::vector<std::int64_t> bounds = work_item_bounds();
        std::vector<std::int64_t> total(static_cast<std::size_t>(c.scatterer_count) + 1);
        std::mutex adding;
        const auto work = [&](std::size_t item, CancelFlag cancel, nbh_error *error) {
            std::vector<std::int64_t> outside(total.size());
            const nbh_status status =
                nbh_plan_background(plan_, &c, bounds[item], bounds[item + 1], cancel,
                                    pixels + bounds[item], outside.data(), error);
            const std::lock_guard<std::mutex> lock(adding);
            for (std::size_t i = 0; i < total.size(); i++)
                total[i] += outside[i];
            return status;
        };
        parallel_work_items(bounds.size() - 1, threads, work,
                            [](std::size_t /*done*/) { return true; });
        return py::make_tuple(photons, total);
    }

    // Whose light is in the pixels where `wanted`, (slow, fast), is not 0.  First what is summed
    // over them, a row for each reflection in the order of h, k, l: its indices, shape (n, 3), and
    // photons, the same times the pixel's fast and slow index and times the spindle angle (rad),
    // shape (n, 4).  Then a row for each pixel and reflection of at least `least` photons, in
    // raster order: the pixel's number and the reflection's row, shape (m, 2), and photons, shape
    // (m).
    py::tuple reflections(const CArray<std::uint8_t> &wanted, int threads, double least)
    {
        check_threads(threads);
        const nbh_plan_info size = info();
        if (wanted.ndim() != 2 || wanted.shape(0) != size.n_slow || wanted.shape(1) != size.n_fast)
            raise_error(NBH_INVALID, "wanted",
                        "got another shape, need (" + std::to_string(size.n_slow) + ", " +
                            std::to_string(size.n_fast) + ")");
        settle(threads, size.n_slow, std::nullopt);
        const std::vector<std::int64_t> bounds = work_item_bounds();
        std::vector<ReflectionSums> parts(bounds.size() - 1);
        const std::uint8_t *pixels = wanted.data();
        const auto work = [&](std::size_t item, CancelFlag cancel, nbh_error *error) {
            const ReflectionSums::Range range = {bounds[item], bounds[item + 1], size.n_fast,
                                                 pixels};
            return parts[item].add(plan_, range, least, cancel, error);
        };
        parallel_work_items(parts.size(), threads, work, [](std::size_t /*done*/) { return true; });
        return reflection_arrays(parts);
    }

    nbh_statistics statistics(const CArray<float> &image, double omega_sum) const
    {
        const nbh_plan_info size = info();
        if (image.ndim() != 2 || image.shape(0) != size.n_slow || image.shape(1) != size.n_fast)
            raise_error(NBH_INVALID, "image",
                        "got another shape, need (" + std::to_string(size.n_slow) + ", " +
                            std::to_string(size.n_fast) + ")");
        const float *pixels = image.data();
        nbh_statistics statistics{};
        nbh_error error{};
        nbh_status status = NBH_OK;
        {
            const py::gil_scoped_release release;
            const DefaultFloatEnvironment environment;
            status = nbh_plan_statistics(plan_, pixels, omega_sum, &statistics, &error);
        }
        check(status, error);
        return statistics;
    }

    // (n, 5): direction from the sample to the source x, y, z, weight, wavelength in metres.
    CArray<double> sources() const
    {
        const std::int64_t count = info().source_count;
        std::vector<nbh_source> sources(static_cast<std::size_t>(count));
        nbh_error error{};
        check(nbh_plan_get_sources(plan_, sources.data(), count, &error), error);
        CArray<double> rows({py::ssize_t{count}, py::ssize_t{5}});
        double *to = rows.mutable_data();
        for (const nbh_source &source : sources) {
            to = std::copy(source.position, source.position + 3, to);
            *to++ = source.weight;
            *to++ = source.wavelength_m;
        }
        return rows;
    }

    CArray<double> phi() const
    {
        CArray<double> phi({py::ssize_t{info().phi_steps}});
        nbh_error error{};
        check(nbh_plan_get_phi(plan_, phi.mutable_data(), phi.size(), &error), error);
        return phi;
    }

    CArray<double> mosaic_matrices() const
    {
        const py::ssize_t domains = info().mosaic_domains;
        CArray<double> matrices({domains, py::ssize_t{3}, py::ssize_t{3}});
        nbh_error error{};
        check(nbh_plan_get_mosaic_matrices(plan_, matrices.mutable_data(), domains, &error), error);
        return matrices;
    }

    // (phi steps * domains, 9): a, b, c in metres, as every phi loop but the first takes them.
    CArray<double> cells() const
    {
        const nbh_plan_info size = info();
        const py::ssize_t count = py::ssize_t{size.phi_steps} * size.mosaic_domains;
        CArray<double> cells({count, py::ssize_t{9}});
        nbh_error error{};
        check(nbh_plan_get_cells(plan_, cells.mutable_data(), count, &error), error);
        return cells;
    }

    // What the kernel takes at whole indices of shape (n, 3).
    CArray<double> structure_factors(const CArray<double> &hkl) const
    {
        if (hkl.ndim() != 2 || hkl.shape(1) != 3)
            raise_error(NBH_INVALID, "hkl", "got another shape, need (n, 3)");
        CArray<double> f({hkl.shape(0)});
        nbh_error error{};
        check(nbh_plan_get_structure_factors(plan_, hkl.data(), hkl.shape(0), f.mutable_data(),
                                             &error),
              error);
        return f;
    }

    std::unique_ptr<Random> random_state() const
    {
        nbh_random state{};
        nbh_error error{};
        check(nbh_plan_get_random(plan_, &state, &error), error);
        return std::make_unique<Random>(state);
    }

  private:
    // The largest of many distances between two values.
    struct Distance {
        double photons = 0.0;
        double relative = 0.0;

        void include(const double *values, const std::vector<double> &half_widths)
        {
            for (std::size_t i = 0; i < half_widths.size(); i++) {
                const double half_width = half_widths[i], value = std::fabs(values[i]);
                photons = std::max(photons, half_width);
                if (half_width > 0.0)
                    relative = std::max(relative, half_width / value);
            }
        }
    };

    // What a plan's pixels are rendered to.
    struct Rendered {
        CArray<float> image;
        py::object unrounded = py::none();
        double omega_sum = 0.0;
        std::int64_t steps_visited = 0;
        Distance largest;
    };

    static py::tuple to_tuple(const Rendered &made)
    {
        return py::make_tuple(made.image, made.unrounded, made.omega_sum, made.steps_visited,
                              made.largest.photons, made.largest.relative);
    }

    // The image of a plan while threads render its work items.
    class Canvas
    {
      public:
        Canvas(Plan &plan, bool want_unrounded, bool bounded)
            : plan_(plan.plan_), size_(plan.info()), bounds_(plan.work_item_bounds()),
              bounded_(bounded), image_(new_image<float>(size_.n_slow, size_.n_fast)),
              pixels_(image_.mutable_data())
        {
            if (want_unrounded) {
                auto doubles = new_image<double>(size_.n_slow, size_.n_fast);
                unrounded_ = doubles.mutable_data();
                unrounded_image_ = doubles.view();
            }
        }

        std::size_t items() const
        {
            return bounds_.size() - 1;
        }
        std::int64_t rows() const
        {
            return size_.n_slow;
        }
        // The rows that the first work items fill.
        std::int64_t rows_of(std::size_t items) const
        {
            return bounds_[items] / size_.n_fast;
        }

        // Called from any thread.
        nbh_status render(std::size_t item, CancelFlag cancel, nbh_error *error)
        {
            const std::int64_t first = bounds_[item], end = bounds_[item + 1];
            const std::int64_t row0 = first / size_.n_fast, row_end = (row0 + 1) * size_.n_fast;
            OmegaSum::Part omega;
            omega.row_sums.resize(static_cast<std::size_t>((end - 1) / size_.n_fast - row0 + 1));
            if (first != row0 * size_.n_fast)
                omega.first_row.resize(static_cast<std::size_t>(std::min(end, row_end) - first));
            std::vector<double> half_widths(bounded_ ? static_cast<std::size_t>(end - first) : 0);
            std::int64_t visited = 0;
            const nbh_pixels part = {pixels_ + first,
                                     unrounded_ ? unrounded_ + first : nullptr,
                                     omega.row_sums.data(),
                                     omega.first_row.empty() ? nullptr : omega.first_row.data(),
                                     cancel,
                                     bounded_ ? half_widths.data() : nullptr,
                                     &visited};
            const nbh_status status = nbh_plan_render_pixels(plan_, first, end, &part, error);
            steps_visited_ += visited;
            if (bounded_ && status == NBH_OK) {
                const std::lock_guard<std::mutex> lock(comparing_);
                largest_.include(unrounded_ + first, half_widths);
            }
            omega_sum_.add(item, std::move(omega));
            return status;
        }

        // Once all items are there.
        Rendered done()
        {
            return {std::move(image_), std::move(unrounded_image_), omega_sum_.total(),
                    steps_visited_.load(), largest_};
        }

      private:
        const nbh_plan *plan_;
        const nbh_plan_info size_;
        const std::vector<std::int64_t> bounds_;
        const bool bounded_;
        CArray<float> image_;
        py::object unrounded_image_ = py::none();
        float *pixels_;
        double *unrounded_ = nullptr;
        OmegaSum omega_sum_;
        std::atomic<std::int64_t> steps_visited_{0};
        std::mutex comparing_;
        Distance largest_;
    };

    // Renders plans with one pool of threads, whose queue has the work items of all of them, plan
    // after plan; rows are counted over all.
    static std::vector<Rendered> render_all(const std::vector<Plan *> &plans, int threads,
                                            const Progress &progress, bool want_unrounded,
                                            bool bounded)
    {
        check_threads(threads);
        std::int64_t all_rows = 0;
        for (const Plan *plan : plans)
            all_rows += plan->info().n_slow;
        for (Plan *plan : plans)
            plan->settle(threads, all_rows, progress);

        std::vector<std::unique_ptr<Canvas>> canvases;
        std::vector<std::size_t> first_items = {0}; // of each canvas, and the end
        std::vector<std::int64_t> first_rows = {0};
        for (Plan *plan : plans) {
            canvases.push_back(std::make_unique<Canvas>(*plan, want_unrounded, bounded));
            first_items.push_back(first_items.back() + canvases.back()->items());
            first_rows.push_back(first_rows.back() + canvases.back()->rows());
        }
        const std::size_t items = first_items.back();
        const auto canvas_of = [&](std::size_t item) {
            const auto next = std::upper_bound(first_items.begin(), first_items.end(), item);
            return static_cast<std::size_t>(next - first_items.begin()) - 1;
        };
        const auto work = [&](std::size_t item, CancelFlag cancel, nbh_error *error) {
            const std::size_t n = canvas_of(item);
            return canvases[n]->render(item - first_items[n], cancel, error);
        };
        const auto rows_done = [&](std::size_t done) {
            if (done == items)
                return all_rows;
            const std::size_t n = canvas_of(done);
            return first_rows[n] + canvases[n]->rows_of(done - first_items[n]);
        };
        const auto poll = [&](std::size_t done) {
            return report(progress, rows_done(done), all_rows);
        };
        parallel_work_items(items, threads, work, poll);
        if (!poll(items))
            raise_error(NBH_CANCELLED, "", "the progress callback asked to stop");
        std::vector<Rendered> rendered;
        for (const auto &canvas : canvases)
            rendered.push_back(canvas->done());
        return rendered;
    }

    // False if the callback returned False; None and anything else go on.
    static bool report(const Progress &progress, std::int64_t done, std::int64_t total)
    {
        return !progress || !(*progress)(done, total).is(py::bool_(false));
    }

    // Work item n is the pixels from bounds[n] to bounds[n + 1], not included.
    std::vector<std::int64_t> work_item_bounds() const
    {
        const nbh_plan_info size = info();
        const std::int64_t pixels = std::int64_t{size.n_fast} * size.n_slow;
        std::vector<std::int64_t> bounds = {0};
        while (bounds.back() < pixels)
            bounds.push_back(nbh_plan_work_item_end(plan_, bounds.back()));
        return bounds;
    }

    bool needs_scan()
    {
        const std::lock_guard<std::mutex> lock(settling_);
        return nbh_plan_needs_scan(plan_) != 0;
    }

    // One thread scans at a time: a plan must not be settled while another one scans it. Recursive,
    // because a progress callback may use the plan.
    std::unique_lock<std::recursive_timed_mutex> wait_for_turn(std::int64_t all_rows,
                                                               const Progress &progress)
    {
        std::unique_lock<std::recursive_timed_mutex> turn(scanning_, std::defer_lock);
        const auto is_ours = [&turn] {
            const py::gil_scoped_release release;
            return turn.try_lock_for(std::chrono::milliseconds(20));
        };
        while (!is_ours()) {
            if (PyErr_CheckSignals() != 0)
                throw py::error_already_set();
            if (!report(progress, 0, all_rows))
                raise_error(NBH_CANCELLED, "", "the progress callback asked to stop");
        }
        return turn;
    }

    // Finds the pixel in which interpolation is switched off, if this plan has one (model 6.5);
    // all_rows: of everything that is to be rendered, for the callback.
    void settle(int threads, std::int64_t all_rows, const Progress &progress)
    {
        if (!needs_scan())
            return;
        const auto turn = wait_for_turn(all_rows, progress);
        if (!needs_scan())
            return; // another thread was faster
        std::mutex finding;
        std::int64_t first_pixel = -1;
        const std::vector<std::int64_t> bounds = work_item_bounds();
        const auto work = [&](std::size_t item, CancelFlag cancel, nbh_error *error) {
            {
                const std::lock_guard<std::mutex> lock(finding);
                if (first_pixel >= 0 && first_pixel < bounds[item])
                    return NBH_OK; // an earlier item has it
            }
            std::int64_t found = -1;
            const nbh_status status =
                nbh_plan_scan_pixels(plan_, bounds[item], bounds[item + 1], cancel, &found, error);
            const std::lock_guard<std::mutex> lock(finding);
            if (status == NBH_OK && found >= 0 && (first_pixel < 0 || found < first_pixel))
                first_pixel = found;
            return status;
        };
        const auto poll = [&](std::size_t) { return report(progress, 0, all_rows); };
        parallel_work_items(bounds.size() - 1, threads, work, poll);

        nbh_error error{};
        nbh_status status = NBH_OK;
        {
            const std::lock_guard<std::mutex> lock(settling_);
            status = nbh_plan_settle(plan_, first_pixel, &error);
        }
        check(status, error);
    }

    StructureFactorTable table_; // the plan borrows it
    nbh_plan *plan_ = nullptr;
    std::recursive_timed_mutex scanning_;
    std::mutex settling_;
};

} // namespace

void register_plan(py::module_ &m)
{
    py::class_<Plan>(m, "Plan")
        .def(py::init<const Experiment &, std::optional<Table>, std::int32_t, std::int32_t,
                      std::int32_t, double>(),
             py::arg("experiment"), py::arg("amplitude").noconvert(), py::arg("h_min"),
             py::arg("k_min"), py::arg("l_min"), py::arg("default_f"))
        .def("info", [](const Plan &self) { return to_dict(self.info()); })
        .def("render", &Plan::render, py::arg("threads"), py::arg("progress"), py::arg("unrounded"))
        .def("render_bounded", &Plan::render_bounded, py::arg("threads"), py::arg("progress"))
        .def("intervals", &Plan::intervals)
        .def("exact_pixels", &Plan::exact_pixels, py::arg("numbers"), py::arg("threads"))
        .def("background", &Plan::background, py::arg("background"), py::arg("threads"))
        .def("reflections", &Plan::reflections, py::arg("wanted").noconvert(), py::arg("threads"),
             py::arg("least"))
        .def("trace", &Plan::trace, py::arg("fast"), py::arg("slow"), py::arg("choice"),
             py::arg("limit"), py::arg("threads"))
        .def(
            "statistics",
            [](const Plan &self, const CArray<float> &image, double omega_sum) {
                return to_dict(self.statistics(image, omega_sum));
            },
            py::arg("image").noconvert(), py::arg("omega_sum"))
        .def("sources", &Plan::sources)
        .def("phi", &Plan::phi)
        .def("mosaic_matrices", &Plan::mosaic_matrices)
        .def("cells", &Plan::cells)
        .def("structure_factors", &Plan::structure_factors, py::arg("hkl").noconvert())
        .def("random_state", &Plan::random_state);
    m.def("render_plans", &Plan::render_plans, py::arg("plans"), py::arg("threads"),
          py::arg("progress"), py::arg("unrounded"), py::arg("bounded"));
}
