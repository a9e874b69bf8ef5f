"""Missetting angles and rotation vectors (model 4.3), in numpy."""

from __future__ import annotations

import math

import numpy as np

from nanobragg_hybrid.fitting.likelihoods import Array


def misset_matrix(angles_deg: Array) -> Array:
    """The rotation about x, then y, then z, shape (3, 3)."""
    x, y, z = np.radians(angles_deg)
    about_x = np.array([[1, 0, 0], [0, math.cos(x), -math.sin(x)], [0, math.sin(x), math.cos(x)]])
    about_y = np.array([[math.cos(y), 0, math.sin(y)], [0, 1, 0], [-math.sin(y), 0, math.cos(y)]])
    about_z = np.array([[math.cos(z), -math.sin(z), 0], [math.sin(z), math.cos(z), 0], [0, 0, 1]])
    product: Array = about_z @ about_y @ about_x
    return product


def rotation_matrix(vector_deg: Array) -> Array:
    """The rotation about a vector by its length in degrees, shape (3, 3) (Rodrigues)."""
    vector = np.radians(vector_deg)
    angle = float(np.linalg.norm(vector))
    x, y, z = vector
    cross = np.array([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]])
    first = float(np.sinc(angle / np.pi))
    second = 0.5 * float(np.sinc(0.5 * angle / np.pi)) ** 2
    turned: Array = np.eye(3) + first * cross + second * (cross @ cross)
    return turned


def misset_angles(matrix: Array) -> Array:
    """The angles about x, y, z, degrees, of a rotation; y in [-90, 90].

    At y = +-90, where only x + z or x - z has a meaning, x is 0.
    """
    if math.hypot(matrix[2, 1], matrix[2, 2]) < 1e-12:
        x, z = 0.0, math.atan2(-matrix[0, 1], matrix[1, 1])
    else:
        x, z = math.atan2(matrix[2, 1], matrix[2, 2]), math.atan2(matrix[1, 0], matrix[0, 0])
    y = math.atan2(-matrix[2, 0], math.hypot(matrix[2, 1], matrix[2, 2]))
    angles: Array = np.degrees(np.array([x, y, z]))
    return angles


def nearest_angles(angles_deg: Array, near_deg: Array) -> Array:
    """The angles of the same rotation that lie nearest to others: whole turns, and the other way
    to write it, (x + 180, 180 - y, z + 180)."""
    other = np.array([angles_deg[0] + 180.0, 180.0 - angles_deg[1], angles_deg[2] + 180.0])
    ways: list[Array] = [
        way + 360.0 * np.round((near_deg - way) / 360.0) for way in (angles_deg, other)
    ]
    nearest: Array = min(ways, key=lambda way: float(np.linalg.norm(way - near_deg)))
    return nearest


def angle_between_deg(first: Array, second: Array) -> float:
    """The angle of the rotation from one matrix to another, degrees."""
    turn = second @ first.T
    sine = 0.5 * math.hypot(
        turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]
    )
    return math.degrees(math.atan2(sine, 0.5 * (float(np.trace(turn)) - 1.0)))
