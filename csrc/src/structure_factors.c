#include "structure_factors.h"

#include "error.h"

nbh_status nbh_plan_get_structure_factors(const nbh_plan *plan, const double *hkl, int64_t count,
                                          double *f, nbh_error *error)
{
    if (count < 0)
        return nbh_fail(error, NBH_INVALID, "count", "got %lld, need a number >= 0",
                        (long long)count);
    if (count > 0 && (hkl == NULL || f == NULL))
        return nbh_fail(error, NBH_INVALID, hkl == NULL ? "hkl" : "f",
                        "got NULL for %lld reflections", (long long)count);
    for (int64_t n = 0; n < count; n++)
        f[n] = structure_factor_nearest(&plan->table, hkl + 3 * n);
    return NBH_OK;
}
