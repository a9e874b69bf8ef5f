"""Values that a rule of nanobragg_hybrid.model.validate must accept and reject."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from nanobragg_hybrid.model.beam import Source
from nanobragg_hybrid.model.detector import PanelsRule
from nanobragg_hybrid.model.mask import Mask
from nanobragg_hybrid.model.panel import Panel
from nanobragg_hybrid.model.pixel_size import PixelSizeRule
from nanobragg_hybrid.model.rotations import Rotations
from nanobragg_hybrid.model.spectrum import Spectrum
from nanobragg_hybrid.model.validate import (
    POSITIVE,
    Choice,
    Flag,
    Instance,
    Integer,
    Items,
    Matrix,
    Number,
    Optional,
    Rule,
    Sequence,
    Text,
)

INT32_MAX = 2**31 - 1
_INSTANCES = {
    Mask: Mask(np.ones((1024, 1024), bool)),
    Source: Source(),
    Spectrum: Spectrum(energies_ev=(12000.0,)),
    Rotations: Rotations(np.eye(3)[None]),
}
_PANELS = tuple(Panel(name, (100, 0, 0), (0, 0, 1), (0, -1, 0), 2, 3, 0.1) for name in "ab")


def accepted(rule: Rule) -> list[tuple[Any, Any]]:
    """Pairs of a value and what is stored for it; the first pair is an ordinary value."""
    match rule:
        case Number():
            low = rule.above if rule.above is not None else rule.at_least
            usual = 1.0 if low is None else low + 1.0
            pairs = [(usual, usual), (int(usual), usual), (np.float32(usual), usual)]
            if rule.at_least is not None:
                pairs.append((rule.at_least, rule.at_least))
            if rule.above is not None:
                pairs.append((math.nextafter(rule.above, math.inf),) * 2)
            if rule.below is not None:
                pairs.append((math.nextafter(rule.below, -math.inf),) * 2)
            if rule.infinity:
                pairs.append((math.inf, math.inf))
            return pairs
        case Integer():
            least, most = rule.at_least, rule.at_most
            return [(2, 2), (least, least), (most, most), (np.int64(3), 3)]
        case Flag():
            return [(True, True), (False, False), (np.bool_(True), True)]
        case Choice():
            return [(word, word) for word in rule.words]
        case Items():
            item = accepted(rule.item)[0][0]
            stored = (accepted(rule.item)[0][1],) * rule.length
            return [([item] * rule.length, stored), (np.array(stored), stored)]
        case Matrix():
            turned = (0.0, -0.5, 0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 1e-200)
            return [(list(turned), turned), (np.array(turned).reshape(3, 3), turned)]
        case Optional():
            return [*accepted(rule.rule), (None, None)]
        case Sequence():
            value, stored = accepted(rule.item)[0]
            pairs = [([value, value], (stored, stored)), ((value,), (stored,))]
            return [*pairs, (np.array([value, value]), (stored, stored))]
        case Instance():
            return [(_INSTANCES[rule.of], _INSTANCES[rule.of])]
        case PanelsRule():
            return [(list(_PANELS), _PANELS), (_PANELS[:1], _PANELS[:1])]
        case PixelSizeRule():
            pairs = accepted(POSITIVE)[:3]
            oblong = [((1.0, 2.0), (1.0, 2.0)), (np.array([3, 1]), (3.0, 1.0)), ([2, 2], 2.0)]
            return [*pairs, *oblong]
        case Text():
            return [("a text", "a text"), ("/ü", "/ü"), (np.str_("0"), "0")]
    raise AssertionError(rule)


def rejected(rule: Rule) -> list[Any]:
    """Values that break the rule, just over each bound among them."""
    match rule:
        case Number():
            values = ["1", True, 1j, [1.0], math.nan, -math.inf, -sys.float_info.max, 10**400, None]
            if rule.at_least is not None:
                values.append(math.nextafter(rule.at_least, -math.inf))
            if rule.above is not None:
                values.append(rule.above)
            if rule.below is not None:
                values.append(rule.below)
            if not rule.infinity:
                values.append(math.inf)
            return values
        case Integer():
            return [rule.at_least - 1, rule.at_most + 1, 2.0, "2", True, math.nan, None]
        case Flag():
            return [0, 1, "True", 0.0, None]
        case Choice():
            return ["", "no such word", rule.words[0].upper(), 0, None]
        case Items():
            item = accepted(rule.item)[0][0]
            values = [
                [item] * (rule.length - 1),
                [item] * (rule.length + 1),
                item,
                "abc",
                b"abc",
                [],
                {},
                {1, 2, 3},
            ]
            for bad in rejected(rule.item):
                values.append([item] * (rule.length - 1) + [bad])
            if rule.nonzero:
                values.append([0.0] * rule.length)
            return values
        case Matrix():
            flat = [1.0, 2.0, 3.0, 2.0, 4.0, 6.0, 1.0, 0.0, 0.0]
            one = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]
            return [flat, [0.0] * 9, [1.0] * 9, one[:8], [*one, 1.0], [math.nan, *one[1:]], "a", 1]
        case Optional():
            return [value for value in rejected(rule.rule) if value is not None]
        case Sequence():
            flat = np.array([accepted(rule.item)[0][0]])
            return [[], [None], ["a"], "a", 1, {accepted(rule.item)[0][0]}, flat[:0], flat[None]]
        case Instance():
            return [1, "a", {}, rule.of]
        case PixelSizeRule():
            return [
                *rejected(POSITIVE),
                (1.0,),
                (1.0, 2.0, 3.0),
                (1.0, 0.0),
                (-1.0, 1.0),
                (1.0, math.nan),
            ]
        case PanelsRule():
            return [[], [1], "a", _PANELS[0], [_PANELS[0], _PANELS[0]], {_PANELS[0]}]
        case Text():
            return ["", " a", "a ", "a\nb", b"a", 1, None]
    raise AssertionError(rule)
