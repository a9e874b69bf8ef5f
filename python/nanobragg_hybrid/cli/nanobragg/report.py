"""What the drop-in command says on standard output about a run, group by group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from nanobragg_hybrid.base.units import (
    fraction_to_percent,
    m_to_angstrom,
    m_to_mm,
    m_to_um,
    rad_to_deg,
    rad_to_mrad,
)

if TYPE_CHECKING:
    from nanobragg_hybrid.arguments.command import Command
    from nanobragg_hybrid.cli.nanobragg.facts import Images
    from nanobragg_hybrid.cli.nanobragg.log import Log
    from nanobragg_hybrid.model.experiment import Experiment
    from nanobragg_hybrid.model.resolved_plan import ResolvedPlan
    from nanobragg_hybrid.model.statistics import Statistics
    from nanobragg_hybrid.model.structure_factors import StructureFactors

Facts = Mapping[str, Any]


def log_setup(
    log: Log, command: Command, table: StructureFactors, known: Facts, plan: ResolvedPlan
) -> None:
    """Everything that is known before the first pixel; `known` are the plan's facts."""
    experiment = command.experiment
    _crystal(log, experiment, known, plan)
    _structure_factors(log, command, table)
    _beam(log, experiment, known, plan)
    _spindle(log, known, plan)
    _detector(log, known, plan)
    _sampling(log, known, plan)


def log_image(log: Log, statistics: Statistics, images: Images) -> None:
    """What the image is like."""
    log.group("image")
    log.fact("brightest pixel", statistics.max, "photons")
    log.fact("  at Fdet Sdet", [statistics.max_fast_m, statistics.max_slow_m], "m")
    log.fact("  at pixel fast slow", [statistics.max_fast, statistics.max_slow])
    log.fact("mean", statistics.mean, "photons/pixel")
    log.fact("rms", statistics.rms, "photons/pixel")
    log.fact("rmsd from the mean", statistics.rmsd, "photons/pixel")
    log.fact("pixels rendered", statistics.pixels)
    log.fact("solid angle", statistics.solid_angle_sr, "steradian")
    log.fact("scale of integer image", images.integer.scale_used, "counts/photon")
    if images.pgm is not None:
        log.fact("scale of PGM picture", images.pgm.scale_used, "levels/photon")
    if images.noise is not None:
        log.fact("photons in noise image", images.noise.photons)
        log.fact("overloads in noise image", images.noise.overloads, "pixels")
        log.fact("seed of noise image", images.noise.seed)


_COMPUTED_BY: Final = {
    "kernel": "kernel",
    "device": "device",
    "dtype": "number type",
    "executable": "executable",
}
"""What an engine's provenance says about the computation -> the words of the log."""


def log_kernel(log: Log, provenance: Mapping[str, Any]) -> None:
    """Which kernel, device or executable rendered the image; and why the slow kernel, if it did."""
    log.group("computed by")
    for key, words in _COMPUTED_BY.items():
        if key in provenance:
            reason = provenance.get("kernel_reason") if key == "kernel" else None
            log.fact(words, provenance[key] + (f", because {reason}" if reason else ""))
    note = provenance.get("structure_factors")
    if note is not None:
        log.line(f"  note: {note}")
    culling = provenance.get("culling")
    if culling is not None:
        if culling["reason"]:
            log.fact("steps visited", f"all, because {culling['reason']}")
        else:
            log.fact("share of steps visited", culling["share_visited"])
        if culling["tolerance_photons"] > 0.0:
            log.fact("tolerance", culling["tolerance_photons"], "photons/pixel")


def log_files(log: Log, files: Mapping[str, str]) -> None:
    """The files written: kind -> path."""
    log.group("files written")
    for kind, path in files.items():
        log.fact(kind, path)


def _crystal(log: Log, experiment: Experiment, known: Facts, plan: ResolvedPlan) -> None:
    crystal = experiment.crystal
    log.group("crystal")
    log.fact("unit cell a b c", known["unit_cell"][:3], "angstrom")
    log.fact("  alpha beta gamma", known["unit_cell"][3:], "deg")
    log.fact("reciprocal cell a* b* c*", known["reciprocal_cell"][:3], "1/angstrom")
    log.fact("  alpha* beta* gamma*", known["reciprocal_cell"][3:], "deg")
    log.fact("volume", known["volume_A3"], "angstrom^3")
    for name in "abc":
        log.fact(
            f"vector {name}", [m_to_angstrom(x) for x in getattr(plan, f"{name}0_m")], "angstrom"
        )
    log.fact("missetting x y z", [rad_to_deg(angle) for angle in plan.misset_rad], "deg")
    if crystal.misset_random:
        log.fact("  seed", crystal.misset_seed)
    log.fact("cells along a b c", known["cells"])
    log.fact("shape", crystal.shape)
    if crystal.shape != "square":
        log.fact("  fudge", crystal.shape_fudge)
    log.fact("mosaic domains", known["mosaic_domains"])
    if known["mosaic_domains"] > 1 and crystal.mosaic_rotations is None:
        log.fact("  spread", rad_to_deg(plan.mosaic_spread_rad), "deg")
        log.fact("  seed", crystal.mosaic_seed)
    if crystal.water_um != 0.0:
        log.fact("water", crystal.water_um, "um")


def _structure_factors(log: Log, command: Command, table: StructureFactors) -> None:
    log.group("structure factors")
    if table.grid_buffer is not None:
        source = command.dump_path if command.hkl_path is None else command.hkl_path
        log.fact("read from", str(source))
        log.fact("reflections", table.reflections)
        for name, low, high in zip("hkl", table.hkl_min, table.hkl_max, strict=True):
            log.fact(f"  {name} from, to", [low, high])
    if table.report is not None:
        log.line(f"  {table.report.summary}")
        for text in table.report.assumptions:
            log.line(f"  assumed: {text}")
    log.fact("default F", table.default_f, "electrons")


def _beam(log: Log, experiment: Experiment, known: Facts, plan: ResolvedPlan) -> None:
    beam = experiment.beam
    log.group("beam")
    log.fact("wavelength", m_to_angstrom(plan.wavelength_m), "angstrom")
    log.fact("direction", plan.beam_direction)
    log.fact("fluence", known["fluence"], "photons/m^2")
    log.fact("sources", known["sources"])
    if beam.sources is None and known["sources"] > 1:
        for axis, name in (("h", "horizontal"), ("v", "vertical")):
            log.fact(
                f"  {name} range", rad_to_mrad(getattr(plan, f"divergence_{axis}_rad")), "mrad"
            )
            log.fact(f"  {name} steps", getattr(plan, f"divergence_{axis}_steps"))
        if beam.spectrum is None:
            log.fact("  dispersion", fraction_to_percent(plan.dispersion_fraction), "%")
            log.fact("  dispersion steps", plan.dispersion_steps)
    if beam.spectrum is not None:
        log.fact("  wavelengths of the spectrum", beam.spectrum.nodes)
    if beam.polarization_correction:
        log.fact("polarization (Kahn)", beam.polarization_kahn)
        log.fact("  along", plan.polarization_axis)
    else:
        log.fact("polarization", "no correction")


def _spindle(log: Log, known: Facts, plan: ResolvedPlan) -> None:
    log.group("spindle")
    log.fact("axis", plan.spindle_axis)
    log.fact("phi", rad_to_deg(plan.phi_rad), "deg")
    log.fact("oscillation", rad_to_deg(plan.osc_rad), "deg")
    log.fact("steps", known["phi_steps"])
    if known["phi_steps"] > 1:
        log.fact("  of", rad_to_deg(plan.phi_step_rad), "deg")


def _detector(log: Log, known: Facts, plan: ResolvedPlan) -> None:
    log.group("detector")
    log.fact("convention", known["convention"])
    log.fact("pivot", known["pivot"])
    log.fact("pixels fast slow", known["detector"])
    edges_m = [plan.pixel_size_m]
    if plan.pixel_size_slow_m != plan.pixel_size_m:
        edges_m.append(plan.pixel_size_slow_m)
    log.fact("pixel size", [m_to_mm(x) for x in edges_m], "mm")
    log.fact("distance", m_to_mm(plan.distance_m), "mm")
    log.fact("close distance", m_to_mm(plan.close_distance_m), "mm")
    for name, key in (
        ("beam centre X Y", "Xbeam_Ybeam"),
        ("beam centre F S", "Fbeam_Sbeam"),
        ("near point F S", "Fclose_Sclose"),
    ):
        log.fact(name, [m_to_mm(x) for x in known[key]], "mm")
    log.fact("XDS origin", [plan.org_x_px, plan.org_y_px], "pixels")
    log.fact("DIALS origin", known["dials_origin"], "mm")
    log.fact("corner of first pixel", [m_to_mm(x) for x in plan.pix0_m], "mm")
    log.fact("fast axis", known["fdet"])
    log.fact("slow axis", known["sdet"])
    log.fact("normal", known["odet"])
    thickness_m, layers, mu_per_m = known["sensor"]
    log.fact("sensor thickness", m_to_um(thickness_m), "um")
    if thickness_m > 0.0:
        log.fact("  layers", layers)
        log.fact("  attenuation", mu_per_m, "1/m")


def _sampling(log: Log, known: Facts, plan: ResolvedPlan) -> None:
    log.group("sampling")
    log.fact("sub-pixels along a side", known["oversample"])
    log.fact("steps per pixel", plan.steps)
    log.fact("interpolation", "tricubic" if plan.interpolate else "none")
    log.fact("region fast from, to", list(plan.roi[:2]))
    log.fact("region slow from, to", list(plan.roi[2:]))
