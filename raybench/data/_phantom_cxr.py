"""Chest X-ray phantoms: a frontal view drawn from a few dozen measures, with up to three findings.

Body coordinates: x from the midline (the patient's left is positive, on the
image's right), y downwards; "lateral" is the distance from the midline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from raybench.data._phantom_pixels import Canvas, Mark, Scene, canvases, developed, ellipse, extent, ramp
from raybench.interfaces import Array

__all__ = ["FINDINGS", "ZONES", "box_of", "compose", "scene"]

FINDINGS = ("opacity", "nodule", "effusion", "cardiomegaly")
ZONES = ("upper", "middle", "lower")

#: Resolution at which extents are measured, in pixels.
_MEASURE_PX = 128
_NORMAL_SHARE = 0.45
_SIGN = {"right": -1.0, "left": 1.0}
#: Height of a zone's centre and the lateral range in which a round finding fits there.
_PLACES = {"upper": (0.255, 0.15, 0.22), "middle": (0.46, 0.20, 0.27), "lower": (0.64, 0.245, 0.29)}

#: Brightness that a finding adds to lung.
_ADDED = {"opacity": 0.34, "nodule": 0.30, "effusion": 0.47}

Draw = Callable[[float, float], float]


def scene(uniform: Draw, seed: int) -> Scene:
    """Draw one patient: measures first, then the findings; `uniform(low, high)` is the source of chance."""
    measures = {
        "turn": uniform(-0.06, 0.06), "scale": uniform(0.92, 1.06),
        "shift_x": uniform(-0.03, 0.03), "shift_y": uniform(-0.02, 0.03),
        "width": uniform(0.345, 0.385), "top": uniform(0.095, 0.125),
        "base": uniform(0.825, 0.875), "dome": uniform(0.075, 0.115), "dome_left": uniform(0.015, 0.04),
        "heart": uniform(0.94, 1.05), "heart_y": uniform(0.0, 0.02), "apex": uniform(-0.006, 0.006),
        "ribs": uniform(0.078, 0.088), "rib_phase": uniform(0.0, 1.0), "rib_light": uniform(0.7, 1.2),
        "soft": uniform(0.56, 0.66), "gamma": uniform(0.85, 1.2), "gain": uniform(0.92, 1.06),
        "noise": uniform(0.010, 0.022), "gas": uniform(0.0, 1.0),
    }  # fmt: skip
    return Scene(measures, _marks(uniform, seed), seed)


def _marks(uniform: Draw, seed: int) -> tuple[Mark, ...]:
    if uniform(0, 1) < _NORMAL_SHARE:
        return ()
    count = 1 + (uniform(0, 1) < 0.35) + (uniform(0, 1) < 0.12)
    left = list(FINDINGS)
    marks: list[Mark] = []
    for number in range(count):
        name = left.pop(int(uniform(0, len(left))))
        mark = _mark(name, uniform, seed * 8 + number)
        if any(_clash(mark, other) for other in marks):
            side = "left" if mark.side == "right" else "right"
            mark = replace(mark, side=side, x=-mark.x)
        if not any(_clash(mark, other) for other in marks):
            marks.append(mark)
    return tuple(sorted(marks, key=lambda mark: FINDINGS.index(mark.name)))


def _clash(one: Mark, other: Mark) -> bool:
    """Two findings that could hide each other: the same lung and zones that touch."""
    if not one.side or one.side != other.side:
        return False
    zones = {one.zone or "lower", other.zone or "lower"}
    return zones != {"upper", "lower"}


def _mark(name: str, uniform: Draw, seed: int) -> Mark:
    side = "left" if uniform(0, 1) < 0.5 else "right"
    strength = uniform(0.85, 1.15)
    if name == "cardiomegaly":
        return Mark(name, radii=(uniform(1.42, 1.6), uniform(1.12, 1.2)), strength=strength, seed=seed)
    if name == "effusion":
        return Mark(name, side, y=uniform(0.60, 0.70), strength=strength, seed=seed)
    zone = ZONES[int(uniform(0, 3))]
    height, near, far = _PLACES[zone]
    x = _SIGN[side] * uniform(near, far)
    y = height + uniform(-0.04, 0.04)
    radius = uniform(0.046, 0.064) if name == "nodule" else uniform(0.085, 0.125)
    flat = uniform(0.92, 1.08) if name == "nodule" else uniform(0.75, 1.1)
    return Mark(name, side, zone, x, y, (radius, radius * flat), strength, seed)


@dataclass(frozen=True)
class _Chest:
    """Where on a canvas the lungs and the diaphragm are.

    Attributes:
        wide: distance from the midline.
        right: 1 on the patient's right.
        air: both lungs' mask.
        floor: height of the diaphragm.
    """

    wide: Array
    right: Array
    air: Array
    floor: Array

    def lung(self, side: str) -> Array:
        return self.air * (self.right if side == "right" else 1 - self.right)


def _chest(measures: Mapping[str, float], canvas: Canvas) -> _Chest:
    """Lay out both lungs at once; they differ only in how high the diaphragm stands."""
    wide, y = np.abs(canvas.x), canvas.y
    right = (canvas.x < 0).astype(np.float32)
    along = np.clip((y - measures["top"]) * (1 / (measures["base"] - measures["top"])), 0, 1)
    rest = 1 - along
    cube = rest * rest * rest
    outer = 0.13 + (measures["width"] - 0.13) * np.sqrt(1 - cube)
    inner = 0.05 + 0.08 * cube * rest + 0.02 * along
    bent = (wide - 0.18) * 5.0
    lower = measures["dome_left"] * (1 - right)
    rise = measures["dome"] - 0.3 * lower
    floor = (measures["base"] + 0.5 * lower - rise) + rise * bent * bent
    air = ramp(outer - wide, 0.018) * ramp(wide - inner, 0.025) * ramp(floor - y, 0.014)
    air *= ramp(y - measures["top"], 0.03)
    return _Chest(wide, right, air, floor)


def _heart(measures: Mapping[str, float], size: tuple[float, float], x: Array, y: Array) -> Array:
    """Return the heart's mask; `size` scales its width and height.

    The left border runs from the great vessels out to the apex, the right one bulges a little.
    """
    wide, high = measures["heart"] * size[0], 0.30 * size[1]
    bottom = measures["base"] + measures["heart_y"]
    if y[-1].max() < bottom - high - 0.01:
        return np.zeros_like(y)
    along = np.clip((y - (bottom - high)) * (1 / high), 0, 1)
    swell = along * (1.25 - 0.25 * along)
    past = np.clip(along - 0.5, 0, 1) * 2
    left = 0.03 + (0.20 * wide - 0.02) * swell * np.sqrt(1 - 0.72 * past * past)
    right = 0.03 + (0.11 * wide - 0.02) * (along * (1.3 - along)) * 2.36
    across = np.minimum(left - x, right + x)
    return np.asarray(ramp(across, 0.028) * ramp(y - (bottom - high + 0.04), 0.09) * ramp(bottom - y, 0.03))


def _strength(mark: Mark, measures: Mapping[str, float], canvas: Canvas, chest: _Chest) -> Array:
    """Return how much of a finding each pixel shows, 0-1."""
    x, y = canvas.x, canvas.y
    if mark.name == "cardiomegaly":
        return _heart(measures, mark.radii, x, y)
    lung = chest.lung(mark.side)
    if mark.name == "effusion":
        lateral = np.clip(x * (_SIGN[mark.side] / measures["width"]), 0, 1.1)
        return np.asarray(lung * ramp(y - mark.y - 0.11 + 0.17 * lateral * lateral * lateral, 0.035))
    inside = ellipse(x, y, (mark.x, mark.y), mark.radii)
    if mark.name == "nodule":
        return np.asarray(lung * ramp(inside - 0.16, 0.46))
    ragged = inside + 0.17 * canvas.texture(11, mark.seed) * (inside > -0.6)
    patchy = 0.88 + 0.12 * canvas.texture(26, mark.seed + 4)
    return np.asarray(lung * ramp(ragged - 0.2, 0.55) * np.clip(patchy, 0.6, 1.1))


def box_of(scene: Scene, mark: Mark) -> tuple[float, float, float, float]:
    """Return the box around what a finding shows: (x0, y0, x1, y1), 0-1."""
    shown = []
    for canvas in canvases(scene.measures, _MEASURE_PX):
        chest = _chest(scene.measures, canvas)
        strength = _strength(mark, scene.measures, canvas, chest)
        if mark.name == "cardiomegaly":  # below the diaphragm nothing of it shows
            strength = strength * (1 - _abdomen(scene.measures, canvas, chest))
        shown.append(strength)
    return extent(np.concatenate(shown))


def compose(scene: Scene, size: int) -> Array:
    """Return the grey picture, (size, size) uint8."""
    light = np.concatenate([_painted(scene, canvas) for canvas in canvases(scene.measures, size)])
    measures = scene.measures
    return developed(light, measures["gain"], measures["gamma"], measures["noise"], scene.seed + 2)


def _painted(scene: Scene, canvas: Canvas) -> Array:
    measures, y = scene.measures, canvas.y
    chest = _chest(measures, canvas)
    large = next((mark.radii for mark in scene.marks if mark.name == "cardiomegaly"), (1.0, 1.0))
    heart = _heart(measures, large, canvas.x, y)
    body = _outline(chest.wide, y)
    below = _abdomen(measures, canvas, chest)
    light = _soft_tissue(measures, chest.wide, y, body)
    light += 0.12 * below - 0.43 * chest.air * (1 - 0.9 * heart)
    light += 0.09 * heart * (1 - below) + _mediastinum(canvas.x, chest.wide, y)
    light += _vessels(scene, canvas, chest.wide) * chest.air * (1 - heart)
    light += _bones(measures, chest.wide, y, chest.air) * body
    light += 0.012 * canvas.texture(5, scene.seed + 3)
    for mark in scene.marks:
        if mark.name != "cardiomegaly":  # that is the heart itself, drawn larger
            shown = _strength(mark, measures, canvas, chest) * (1 - 0.8 * heart)
            light += (_ADDED[mark.name] * mark.strength) * shown
    return light


def _abdomen(measures: Mapping[str, float], canvas: Canvas, chest: _Chest) -> Array:
    """What lies below the diaphragm, between the chest walls."""
    if canvas.y[-1].max() < measures["base"] - measures["dome"] - 0.02:
        return np.zeros_like(canvas.y)
    return np.asarray(ramp(canvas.y - chest.floor, 0.014) * ramp(measures["width"] - chest.wide, 0.05))


def _outline(wide: Array, y: Array) -> Array:
    """The body against the air around it: neck, shoulders, chest wall."""
    slope = np.clip((y - 0.015) * 4.6, 0, 1)
    shoulder = 0.115 + 0.44 * slope * np.sqrt(slope)
    wall = 0.445 + 0.12 * ramp(0.33 - y, 0.42)
    return np.asarray(ramp(shoulder - wide, 0.03) * ramp(wall - wide, 0.035))


def _soft_tissue(measures: Mapping[str, float], wide: Array, y: Array, body: Array) -> Array:
    shade = measures["soft"] + 0.05 * y - 1.1 * np.clip(wide - 0.36, 0, 1)
    shade -= 0.16 * ramp(0.17 - y, 0.25) * ramp(wide - 0.15, 0.12)
    return np.asarray(0.03 + body * np.maximum(shade, 0.18))


def _mediastinum(x: Array, wide: Array, y: Array) -> Array:
    """Spine, great vessels with the aortic knob, and the darker windpipe above them."""
    level = y * 16.0
    discs = np.abs(level - np.floor(level) - 0.5)
    spine = ramp(0.040 - wide, 0.03) * (0.045 + 0.03 * ramp(0.40 - discs, 0.2))
    if y[0].min() > 0.5:  # knob and windpipe are all above
        return np.asarray(spine + 0.11 * ramp(0.064 - wide, 0.03))
    knob = ramp(ellipse(x, y, (0.045, 0.345), (0.045, 0.055)), 0.4)
    vessels = np.maximum(ramp(0.064 - wide, 0.03) * ramp(y - 0.2, 0.3), knob)
    windpipe = ramp(0.021 - np.abs(x + 0.004), 0.016) * ramp(0.37 - y, 0.08)
    return np.asarray(spine + 0.11 * vessels - 0.12 * windpipe)


def _vessels(scene: Scene, canvas: Canvas, wide: Array) -> Array:
    """Lung markings: branches that fan out from the hila and thin towards the chest wall."""
    out, down = wide - 0.03, canvas.y - 0.44
    wobble = canvas.texture(12, scene.seed)
    far = np.sqrt(out * out + 0.6 * down * down)
    fan = 2.1 * down / (out + 0.05) + 0.33 * wobble
    twigs = 2.7 * fan + 0.6 * canvas.texture(16, scene.seed + 1)
    fade = np.clip(1.25 - far * 4.2, 0, 1)
    trunk = ramp(0.020 / (far + 0.05) - np.abs(fan - np.floor(fan) - 0.5), 0.16)
    twig = ramp(0.022 / (far + 0.05) - np.abs(twigs - np.floor(twigs) - 0.5), 0.22)
    hilum = np.clip(1.1 - far * 9, 0, 1)
    return np.asarray(fade * (0.11 * trunk + 0.07 * twig) + 0.10 * hilum)


def _bones(measures: Mapping[str, float], wide: Array, y: Array, air: Array) -> Array:
    cage = ramp(measures["width"] + 0.012 - wide, 0.02) * ramp(wide - 0.03, 0.03) * ramp(y - 0.1, 0.05)
    out = wide - 0.13
    back = (y - 2.2 * out * np.abs(out) + 0.22 * wide) * (1 / measures["ribs"]) + measures["rib_phase"]
    front = (y + 0.55 * wide) * (1 / (1.25 * measures["ribs"])) + 0.7 * measures["rib_phase"]
    ribs = 0.085 * _band(back, 0.46) + 0.035 * _band(front, 0.5) * ramp(wide - 0.12, 0.1)
    fade = (0.30 + 0.70 * air) * ramp(0.88 - y, 0.3)
    light = measures["rib_light"] * ribs * cage * fade
    return np.asarray(light if y[0].min() > 0.55 else light + _collar(wide, y))


def _band(phase: Array, share: float) -> Array:
    """Periodic stripes with brighter rims, as a tube's walls look."""
    away = np.abs(phase - np.floor(phase) - 0.5) * (2 / share)
    return np.asarray(ramp(1 - away, 0.35) * (0.6 + 0.4 * np.minimum(away, 1)))


def _collar(wide: Array, y: Array) -> Array:
    """Both collarbones, slightly curved bars rising sideways, and the shoulder blades' inner edges."""
    out = wide - 0.2
    middle = 0.205 - 0.30 * (wide - 0.03) + 0.35 * out * np.abs(out)
    bar = ramp(0.016 - np.abs(y - middle), 0.012) * ramp(wide - 0.035, 0.02) * ramp(0.42 - wide, 0.05)
    blade = ramp(wide - 0.33 + 0.22 * (y - 0.3), 0.02) * ramp(0.47 - y, 0.1) * ramp(y - 0.17, 0.06)
    return np.asarray(0.12 * bar + 0.05 * blade)
