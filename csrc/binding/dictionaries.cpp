// dictionaries.cpp - one PUT for every member of the result structs.
//
// tests/c_api/test_mirrors.py compares the keys with the header, so a forgotten member is noticed.
#include "dictionaries.h"

#include <cstddef>
#include <utility>

namespace py = pybind11;

namespace
{

template <typename Scalar> py::object value_of(Scalar value)
{
    return py::cast(value);
}

template <typename Scalar, std::size_t N> py::object value_of(const Scalar (&values)[N])
{
    py::tuple result(N);
    for (std::size_t i = 0; i < N; i++)
        result[i] = values[i];
    return std::move(result);
}

py::object value_of(const nbh_step_trace &step)
{
    return to_dict(step);
}

} // namespace

#define PUT(name) to[#name] = value_of(from.name)

py::dict to_dict(const nbh_plan_info &from)
{
    py::dict to;
    PUT(convention);
    PUT(pivot);
    PUT(beam_direction);
    PUT(polarization_axis);
    PUT(vertical_axis);
    PUT(spindle_axis);
    PUT(fast_axis);
    PUT(slow_axis);
    PUT(normal_axis);
    PUT(twotheta_axis);
    PUT(pix0_m);
    PUT(distance_m);
    PUT(close_distance_m);
    PUT(beam_x_m);
    PUT(beam_y_m);
    PUT(beam_fast_m);
    PUT(beam_slow_m);
    PUT(close_fast_m);
    PUT(close_slow_m);
    PUT(org_x_px);
    PUT(org_y_px);
    PUT(dials_origin_mm);
    PUT(pixel_size_m);
    PUT(pixel_size_slow_m);
    PUT(size_fast_m);
    PUT(size_slow_m);
    PUT(twotheta_rad);
    PUT(n_fast);
    PUT(n_slow);
    PUT(roi_fast_min);
    PUT(roi_fast_max);
    PUT(roi_slow_min);
    PUT(roi_slow_max);
    PUT(a0_m);
    PUT(b0_m);
    PUT(c0_m);
    PUT(a_star_per_angstrom);
    PUT(b_star_per_angstrom);
    PUT(c_star_per_angstrom);
    PUT(cell_length_angstrom);
    PUT(cell_angle_rad);
    PUT(reciprocal_length_per_angstrom);
    PUT(reciprocal_angle_rad);
    PUT(cell_volume_angstrom3);
    PUT(misset_rad);
    PUT(n_cells);
    PUT(crystal_size_m);
    PUT(source_count);
    PUT(mosaic_domains);
    PUT(phi_steps);
    PUT(oversample);
    PUT(recommended_oversample);
    PUT(sensor_layers);
    PUT(steps);
    PUT(interpolate);
    PUT(divergence_h_steps);
    PUT(divergence_v_steps);
    PUT(dispersion_steps);
    PUT(divergence_h_rad);
    PUT(divergence_v_rad);
    PUT(divergence_h_step_rad);
    PUT(divergence_v_step_rad);
    PUT(dispersion_fraction);
    PUT(dispersion_step);
    PUT(phi_rad);
    PUT(osc_rad);
    PUT(phi_step_rad);
    PUT(mosaic_spread_rad);
    PUT(sensor_thickness_m);
    PUT(sensor_layer_step_m);
    PUT(sensor_attenuation_per_m);
    PUT(wavelength_m);
    PUT(fluence_photons_per_m2);
    PUT(water_background);
    PUT(warnings);
    PUT(kernel);
    PUT(kernel_reason);
    PUT(impossible_sources);
    PUT(first_impossible_source);
    PUT(culling_reason);
    PUT(active_pixels);
    return to;
}

py::dict to_dict(const nbh_step_trace &from)
{
    py::dict to;
    PUT(layer);
    PUT(sub_slow);
    PUT(sub_fast);
    PUT(source);
    PUT(phi_step);
    PUT(domain);
    PUT(pixel_pos_m);
    PUT(airpath_m);
    PUT(solid_angle_sr);
    PUT(obliquity);
    PUT(diffracted);
    PUT(incident);
    PUT(wavelength_m);
    PUT(q_per_m);
    PUT(stol_per_m);
    PUT(phi_rad);
    PUT(a_m);
    PUT(b_m);
    PUT(c_m);
    PUT(hkl);
    PUT(hkl_rounded);
    PUT(f_latt_a);
    PUT(f_latt_b);
    PUT(f_latt_c);
    PUT(f_latt);
    PUT(f_cell);
    PUT(term);
    PUT(running_sum);
    return to;
}

py::dict to_dict(const nbh_trace &from)
{
    py::dict to;
    PUT(fast);
    PUT(slow);
    PUT(is_active);
    PUT(evaluated);
    PUT(first);
    PUT(last);
    PUT(pix0_m);
    PUT(fast_axis);
    PUT(slow_axis);
    PUT(omega_sr);
    PUT(close_distance_m);
    PUT(obliquity);
    PUT(cos_2theta);
    PUT(i_before_scaling);
    PUT(r_e_sqr_m2);
    PUT(fluence_photons_per_m2);
    PUT(steps);
    PUT(capture_fraction);
    PUT(polarization);
    PUT(pixel_value);
    PUT(pixel_float);
    return to;
}

py::dict to_dict(const nbh_statistics &from)
{
    py::dict to;
    PUT(max);
    PUT(max_fast_m);
    PUT(max_slow_m);
    PUT(max_fast);
    PUT(max_slow);
    PUT(sum);
    PUT(mean);
    PUT(rms);
    PUT(rmsd);
    PUT(solid_angle_sr);
    PUT(pixels);
    PUT(pixels_in_roi);
    return to;
}

py::dict to_dict(const nbh_odd_pixels &from)
{
    py::dict to;
    PUT(pixels);
    PUT(lit);
    PUT(nan);
    PUT(infinite);
    PUT(negative);
    PUT(nan_fast);
    PUT(nan_slow);
    PUT(infinite_fast);
    PUT(infinite_slow);
    PUT(negative_fast);
    PUT(negative_slow);
    return to;
}

py::dict to_dict(const nbh_hkl_bounds &from)
{
    py::dict to;
    PUT(h_min);
    PUT(h_max);
    PUT(k_min);
    PUT(k_max);
    PUT(l_min);
    PUT(l_max);
    PUT(reflections);
    PUT(fractional);
    PUT(stopped_at_line);
    return to;
}

py::dict to_dict(const nbh_hkl_repeats &from)
{
    py::dict to;
    PUT(count);
    PUT(first_line);
    PUT(first);
    return to;
}
