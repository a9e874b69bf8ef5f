/* polarization_frame.c - B = unit(unit(axis) x incident), E = unit(incident x B). */
#include "polarization_frame.h"

#include <math.h>
#include <string.h>

#include "vec3.h"

/* A vector over its length; 0 if that is 0. */
typedef struct direction {
    double unit[3];
    double per_length;
} direction;

static direction direction_of(const double v[3])
{
    const double length = sqrt(vec3_dot(v, v));
    direction out = {{0.0, 0.0, 0.0}, 0.0};
    if (length == 0.0)
        return out;
    out.per_length = 1.0 / length;
    for (int i = 0; i < 3; i++)
        out.unit[i] = v[i] / length;
    return out;
}

/* How the direction changes with the vector; derivatives go back by the same formula. */
static void across(const direction *d, const double change[3], double out[3])
{
    const double along = vec3_dot(d->unit, change);
    for (int i = 0; i < 3; i++)
        out[i] = (change[i] - d->unit[i] * along) * d->per_length;
}

typedef struct frame_chain {
    direction axis, b, e;
} frame_chain;

static frame_chain chain_of(const double axis[3], const double incident[3])
{
    frame_chain chain;
    double v[3];
    chain.axis = direction_of(axis);
    vec3_cross(chain.axis.unit, incident, v);
    chain.b = direction_of(v);
    vec3_cross(incident, chain.b.unit, v);
    chain.e = direction_of(v);
    return chain;
}

void polarization_frame_set(const double axis[3], const double incident[3],
                            polarization_frame *frame)
{
    const frame_chain chain = chain_of(axis, incident);
    memcpy(frame->along_b, chain.b.unit, sizeof frame->along_b);
    memcpy(frame->along_e, chain.e.unit, sizeof frame->along_e);
    frame->has_axis = chain.b.per_length != 0.0;
}

void polarization_frame_change(const double axis[3], const double incident[3],
                               const double axis_change[3], const double incident_change[3],
                               double change[FRAME_NUMBERS])
{
    const frame_chain chain = chain_of(axis, incident);
    double turned[3], one[3], other[3];
    across(&chain.axis, axis_change, turned);
    vec3_cross(turned, incident, one);
    vec3_cross(chain.axis.unit, incident_change, other);
    for (int i = 0; i < 3; i++)
        one[i] += other[i];
    across(&chain.b, one, change + FRAME_B);
    vec3_cross(incident_change, chain.b.unit, one);
    vec3_cross(incident, change + FRAME_B, other);
    for (int i = 0; i < 3; i++)
        one[i] += other[i];
    across(&chain.e, one, change + FRAME_E);
}

void polarization_frame_add_gradient(const double axis[3], const double incident[3],
                                     const double by_frame[FRAME_NUMBERS], double by_axis[3],
                                     double by_incident[3])
{
    const frame_chain chain = chain_of(axis, incident);
    double by_v[3], by_b[3], part[3];
    across(&chain.e, by_frame + FRAME_E, by_v);
    vec3_cross(chain.b.unit, by_v, part);
    vec3_cross(by_v, incident, by_b);
    for (int i = 0; i < 3; i++) {
        by_incident[i] += part[i];
        by_b[i] += by_frame[FRAME_B + i];
    }
    across(&chain.b, by_b, by_v);
    vec3_cross(by_v, chain.axis.unit, part);
    for (int i = 0; i < 3; i++)
        by_incident[i] += part[i];
    vec3_cross(incident, by_v, part);
    across(&chain.axis, part, by_v);
    for (int i = 0; i < 3; i++)
        by_axis[i] += by_v[i];
}
