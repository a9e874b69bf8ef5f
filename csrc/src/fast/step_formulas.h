/* step_formulas.h - formulas of lattice factors for one type of real number.
 *
 * This file is included once for each type, by factor_steps.h, which defines
 *   real             the type
 *   OF_REAL(name)    the name of a function or type for it
 *   IS_SINGLE        1 where its digits are those of single precision, 0 where of double. */

/* PROFILE_INTERFERENCE for whole N where no index is close to a whole number; returns 0 if one is.
 */
SPECIALISED int OF_REAL(interference_apart)(const int derive, const lattice_axis axes[3],
                                            const step_indices *at, lattice_step *step)
{
    real near[LANES];
    EACH_LANE {
        const OF_REAL(axis_phases) a =
            OF_REAL(phases_of)(derive, axes[0].n, at->hkl[0][j], at->whole[0][j]);
        const OF_REAL(axis_phases) b =
            OF_REAL(phases_of)(derive, axes[1].n, at->hkl[1][j], at->whole[1][j]);
        const OF_REAL(axis_phases) c =
            OF_REAL(phases_of)(derive, axes[2].n, at->hkl[2][j], at->whole[2][j]);
        const real ab = a.s * b.s, abc = ab * c.s, per_abc = (real)1.0 / abc;
        const int is_near = OF_REAL(may_be_whole)(derive, axes, a.s, b.s, c.s, abc);
        near[j] = is_near ? (real)1.0 : (real)0.0;
        const real f = a.sn * b.sn * c.sn * per_abc;
        step->square[j] = f * f;
        if (derive) {
            const real per_a = b.s * c.s * per_abc, per_b = a.s * c.s * per_abc,
                       per_c = ab * per_abc;
            const real fa = a.sn * per_a, fb = b.sn * per_b, fc = c.sn * per_c, w = (real)PI * f;
            const real wa = w * fb * fc * per_a, wb = w * fa * fc * per_b, wc = w * fa * fb * per_c;
            step->by_index[0][j] = wa * OF_REAL(slope_of)(&a, &axes[0], fa);
            step->by_index[1][j] = wb * OF_REAL(slope_of)(&b, &axes[1], fb);
            step->by_index[2][j] = wc * OF_REAL(slope_of)(&c, &axes[2], fc);
            step->by_n[0][j] = (double)(wa * a.cn) * at->hkl[0][j];
            step->by_n[1][j] = (double)(wb * b.cn) * at->hkl[1][j];
            step->by_n[2][j] = (double)(wc * c.cn) * at->hkl[2][j];
        }
    }
    return !OF_REAL(any_is_set)(near);
}

/* PROFILE_SPHERE: see profile_of. */
SPECIALISED void OF_REAL(sphere)(const int derive, double fudge, const lanes distance_sqr, lanes f,
                                 lanes slope)
{
    const real series_below = (real)(IS_SINGLE ? SPHERE_SERIES_BELOW_F32 : SPHERE_SERIES_BELOW);
    EACH_LANE {
        const real t = (real)(PI * PI * (distance_sqr[j] * fudge));
        const double x = PI * sqrt(distance_sqr[j] * fudge);
        const real r = (real)remainder_of_pi(x);
        const int is_small = t < series_below;
        const real one = 1, three = 3;
        const real safe = is_small ? one : t, per = one / safe;
        /* the signs of sine and cosine matter together with neither: f and slope have both */
        const real s = OF_REAL(sine)(r), c = OF_REAL(cosine)(r), xs = is_small ? one : (real)x;
        const real s_over = s / xs;
        const real near = one + t * ((real)(-1.0 / 10.0) +
                                     t * ((real)(1.0 / 280.0) + t * ((real)(-1.0 / 15120.0) +
                                                                     t * (real)(1.0 / 1330560.0))));
        f[j] = 0.723601254558268 * (double)(is_small ? near : three * (s_over - c) * per);
        if (derive) {
            const real j2 = (three * per - one) * s_over - three * c * per;
            const real series =
                (real)(1.0 / 15.0) -
                t * ((real)(1.0 / 210.0) - t * ((real)(1.0 / 7560.0) - t * (real)(1.0 / 498960.0)));
            slope[j] =
                0.723601254558268 * (-1.5 * PI * PI) * (double)(is_small ? series : j2 * per);
        }
    }
}

/* PROFILE_GAUSSIAN: see profile_of. */
SPECIALISED void OF_REAL(gaussian)(const int derive, double fudge, const lanes distance_sqr,
                                   lanes f, lanes slope)
{
    lanes y, lit;
    EACH_LANE {
        const double exponent = -(distance_sqr[j] / 0.63 * fudge);
        y[j] = exponent < LEAST_EXPONENT ? LEAST_EXPONENT : exponent;
        lit[j] = exponent < LEAST_EXPONENT ? 0.0 : 1.0;
    }
    EACH_LANE { /* in the same loop compilers take back the limit where 0 hides the result */
        f[j] = OF_REAL(exponential)(y[j]) * lit[j];
        if (derive)
            slope[j] = f[j] * (-1.0 / 0.63);
    }
}
