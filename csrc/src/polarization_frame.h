/* polarization_frame.h - directions to which the polarization factor refers (model 6.6), and how
 * they change. */
#ifndef NBH_POLARIZATION_FRAME_H
#define NBH_POLARIZATION_FRAME_H

/* Unit vectors across an incident beam: B across the polarization axis too, and E, along the axis
 * as far as the beam lets it; 0 where the axis is along the beam. */
typedef struct polarization_frame {
    double along_b[3];
    double along_e[3];
    int has_axis;
} polarization_frame;

/* Where B and E stand in arrays of changes and derivatives. */
#define FRAME_B 0
#define FRAME_E 3
#define FRAME_NUMBERS 6

/* axis: of any length; incident: a unit vector. */
void polarization_frame_set(const double axis[3], const double incident[3],
                            polarization_frame *frame);
/* Sets how the frame changes where axis and incident direction do. */
void polarization_frame_change(const double axis[3], const double incident[3],
                               const double axis_change[3], const double incident_change[3],
                               double change[FRAME_NUMBERS]);
/* Adds to the derivatives by axis and incident direction what those by the frame make. */
void polarization_frame_add_gradient(const double axis[3], const double incident[3],
                                     const double by_frame[FRAME_NUMBERS], double by_axis[3],
                                     double by_incident[3]);

#endif
