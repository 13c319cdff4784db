"""Brain MRI phantoms: an axial slice at the level of the lateral ventricles, in three contrasts.

Body coordinates as in the chest phantoms; the forehead is at the top and the
patient's left on the image's right. Tissues are laid over one another from the
outside in, each with the brightness it has in the contrast.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from raybench.data._phantom_pixels import Canvas, Mark, Scene, canvases, developed, ellipse, extent, ramp
from raybench.interfaces import Array

__all__ = ["CONTRASTS", "FINDINGS", "ZONES", "box_of", "compose", "scene"]

FINDINGS = ("tumour", "haemorrhage", "lesion")
ZONES = ("frontal", "parietal", "occipital")
CONTRASTS = ("T1", "T2", "FLAIR")

_MEASURE_PX = 128
_NORMAL_SHARE = 0.35
_SIGN = {"right": -1.0, "left": 1.0}
_MOST_LESIONS = 4
#: A region's height and lateral range for a mass, in head radii from the centre.
_PLACES = {"frontal": (-0.46, 0.28, 0.38), "parietal": (0.05, 0.44, 0.52), "occipital": (0.50, 0.28, 0.38)}
#: Where white-matter lesions lie: beside the ventricles, by region.
_SPOTS = {"frontal": (-0.42, 0.24, 0.40), "parietal": (0.06, 0.36, 0.50), "occipital": (0.44, 0.26, 0.42)}

#: Brightness of each tissue by contrast.
_TISSUES: Mapping[str, Mapping[str, float]] = {
    "T1": {"scalp": 0.86, "bone": 0.10, "marrow": 0.34, "fluid": 0.14, "grey": 0.48, "white": 0.70},
    "T2": {"scalp": 0.56, "bone": 0.06, "marrow": 0.26, "fluid": 0.93, "grey": 0.52, "white": 0.34},
    "FLAIR": {"scalp": 0.58, "bone": 0.06, "marrow": 0.24, "fluid": 0.09, "grey": 0.47, "white": 0.36},
}
#: The same for what a finding consists of, from the outside in.
_CHANGES: Mapping[str, Mapping[str, tuple[float, ...]]] = {
    "T1": {"tumour": (0.42, 0.92, 0.22), "haemorrhage": (0.45, 0.98, 0.90), "lesion": (0.24,)},
    "T2": {"tumour": (0.80, 0.30, 0.95), "haemorrhage": (0.82, 0.06, 0.16), "lesion": (0.90,)},
    "FLAIR": {"tumour": (0.82, 0.97, 0.30), "haemorrhage": (0.80, 0.06, 0.20), "lesion": (0.95,)},
}

#: The deep structures lie between these heights.
_DEEP = (0.3, 0.72)

Draw = Callable[[float, float], float]


def scene(uniform: Draw, seed: int) -> Scene:
    """Draw one patient: contrast and measures first, then at most one kind of finding."""
    contrast = CONTRASTS[int(uniform(0, 3))]
    measures = {
        "turn": uniform(-0.09, 0.09), "scale": uniform(0.93, 1.05),
        "shift_x": uniform(-0.02, 0.02), "shift_y": uniform(-0.02, 0.02),
        "wide": uniform(0.355, 0.385), "high": uniform(0.435, 0.46),
        "ventricle": uniform(0.75, 1.25), "fold": uniform(0.85, 1.15), "scalp": uniform(0.045, 0.06),
        "gain": uniform(0.92, 1.06), "noise": uniform(0.010, 0.022), "bias_x": uniform(-0.05, 0.05),
        "bias_y": uniform(-0.05, 0.05),
    }  # fmt: skip
    return Scene(measures, _marks(uniform, measures, seed), seed, contrast)


def _marks(uniform: Draw, measures: Mapping[str, float], seed: int) -> tuple[Mark, ...]:
    if uniform(0, 1) < _NORMAL_SHARE:
        return ()
    name = FINDINGS[int(uniform(0, 3))]
    if name == "lesion":
        return _lesions(uniform, measures, seed)
    side = "left" if uniform(0, 1) < 0.5 else "right"
    zone = ZONES[int(uniform(0, 3))]
    down, near, far = _PLACES[zone]
    x = _SIGN[side] * uniform(near, far) * measures["wide"]
    y = 0.5 + (down + uniform(-0.05, 0.05)) * measures["high"]
    radius = uniform(0.085, 0.115) if name == "tumour" else uniform(0.06, 0.09)
    return (Mark(name, side, zone, x, y, (radius, radius * uniform(0.85, 1.2)), uniform(0.9, 1.1), seed * 8),)


def _lesions(uniform: Draw, measures: Mapping[str, float], seed: int) -> tuple[Mark, ...]:
    """One to four spots of white matter, each in a place of its own."""
    count = 1 + int(uniform(0, _MOST_LESIONS))
    places = [(side, zone) for zone in ZONES for side in ("right", "left")]
    marks = []
    for number in range(count):
        side, zone = places.pop(int(uniform(0, len(places))))
        down, near, far = _SPOTS[zone]
        x = _SIGN[side] * uniform(near, far) * measures["wide"]
        y = 0.5 + (down + uniform(-0.06, 0.06)) * measures["high"]
        radius = uniform(0.034, 0.045)
        radii = (radius, radius * uniform(1.0, 1.35))
        marks.append(Mark("lesion", side, zone, x, y, radii, uniform(0.9, 1.1), seed * 8 + number))
    return tuple(sorted(marks, key=lambda mark: (ZONES.index(mark.zone), mark.side == "left")))


def _strength(mark: Mark, canvas: Canvas, brain: Array) -> tuple[Array, Array]:
    """Return how much of a finding each pixel shows (0-1), and its depth below the finding's edge."""
    inside = ellipse(canvas.x, canvas.y, (mark.x, mark.y), mark.radii)
    if mark.name == "lesion":
        return brain * ramp(inside - 0.08, 0.35), inside
    uneven = 0.20 if mark.name == "tumour" else 0.15
    depth = inside + uneven * canvas.texture(13, mark.seed) * (inside > -0.6)
    return brain * ramp(depth - 0.12, 0.22), depth


def _brain(measures: Mapping[str, float], x: Array, y: Array) -> tuple[Array, Array]:
    """Return the distance from the centre in head radii, and the mask of all within the skull's inner table."""
    down = (y - 0.5) * (1 / measures["high"])
    across = x * (1 / measures["wide"]) * (1 - 0.07 * down)
    radius = np.sqrt(across * across + down * down)
    return radius, ramp(1 - measures["scalp"] - 0.075 - radius, 0.02)


def box_of(scene: Scene, mark: Mark) -> tuple[float, float, float, float]:
    """Return the box around what a finding shows: (x0, y0, x1, y1), 0-1."""
    shown = []
    for canvas in canvases(scene.measures, _MEASURE_PX):
        _, brain = _brain(scene.measures, canvas.x, canvas.y)
        shown.append(_strength(mark, canvas, brain)[0])
    return extent(np.concatenate(shown))


def compose(scene: Scene, size: int) -> Array:
    """Return the grey picture, (size, size) uint8."""
    light = np.concatenate([_painted(scene, canvas) for canvas in canvases(scene.measures, size)])
    return developed(light, scene.measures["gain"], 1.0, scene.measures["noise"], scene.seed + 2)


def _painted(scene: Scene, canvas: Canvas) -> Array:
    measures, tissue = scene.measures, _TISSUES[scene.style]
    x, y = canvas.x, canvas.y
    wide = np.abs(x)
    radius, brain = _brain(measures, x, y)
    light = _head(measures, tissue, radius)
    fluid, grey = _folds(scene, canvas, wide, radius)
    deep, hollow = _middle(measures, wide, y)
    grey = np.maximum(grey, deep)
    fluid = np.maximum(fluid, hollow)
    inner = tissue["white"] + grey * (tissue["grey"] - tissue["white"])
    inner += 0.018 * canvas.texture(24, scene.seed + 5)
    inner += fluid * (tissue["fluid"] - inner)
    light += brain * (inner - light)
    for mark in scene.marks:
        light = _changed(mark, _CHANGES[scene.style][mark.name], _strength(mark, canvas, brain), canvas, light)
    return np.asarray(light * (1 + measures["bias_x"] * 2 * x + measures["bias_y"] * 2 * (y - 0.5)))


def _head(measures: Mapping[str, float], tissue: Mapping[str, float], radius: Array) -> Array:
    """Air, scalp, the skull's two tables with marrow between, and the fluid beneath."""
    scalp = measures["scalp"]
    light = 0.015 + ramp(1 - radius, 0.02) * (tissue["scalp"] - 0.015)
    light += ramp(1 - scalp - radius, 0.02) * (tissue["bone"] - tissue["scalp"])
    marrow = ramp(0.012 - np.abs(radius - (1 - scalp - 0.034)), 0.02)
    return np.asarray(light + marrow * (tissue["marrow"] - tissue["bone"]))


def _folds(scene: Scene, canvas: Canvas, wide: Array, radius: Array) -> tuple[Array, Array]:
    """Return fluid and grey-matter masks of the cortex: furrows are the zero lines of a symmetric random field."""
    measures, y = scene.measures, canvas.y
    depth = (1 - measures["scalp"] - 0.085) - radius
    field = canvas.texture(19, scene.seed)
    field = 0.6 * (field + field[:, ::-1]) + 0.5 * canvas.texture(19, scene.seed + 1)
    furrow = np.abs(field)
    shallow = np.clip(1 - depth * (1 / 0.28), 0, 1)
    near = np.clip(1 - depth * (1 / 0.42), 0, 1)
    lines = ramp(0.20 * measures["fold"] * shallow - furrow, 0.20) * shallow
    rim = ramp(0.012 - depth, 0.02) * (0.7 + 0.3 * np.clip(field, -1, 1))
    ends = np.maximum(ramp(0.26 - y, 0.06), ramp(y - 0.735, 0.06))
    gap = ramp(0.009 - np.abs(canvas.x + 0.004 * field), 0.010) * ends
    ribbon = ramp(0.06 - depth + 0.012 * field, 0.03)
    beside = ramp(0.80 * near - furrow, 0.25) * ramp(near - 0.12, 0.2)
    gap_grey = ramp(0.03 - wide, 0.015) * np.maximum(ramp(0.30 - y, 0.06), ramp(y - 0.70, 0.06))
    return np.maximum(np.maximum(lines, rim), gap), np.maximum(np.maximum(ribbon, beside), gap_grey)


def _middle(measures: Mapping[str, float], wide: Array, y: Array) -> tuple[Array, Array]:
    """Return deep grey matter and the ventricles."""
    if y[-1].max() < _DEEP[0] or y[0].min() > _DEEP[1]:
        return np.zeros_like(y), np.zeros_like(y)
    wider = measures["ventricle"]
    front = ellipse(wide, y, (0.052, 0.40), (0.022 * wider, 0.068), 0.42)
    body = ellipse(wide, y, (0.034, 0.475), (0.013 * wider, 0.055), -0.25)
    back = ellipse(wide, y, (0.075, 0.625), (0.020 * wider, 0.075), -0.38)
    third = ellipse(wide, y, (0.0, 0.525), (0.010 * wider, 0.045))
    hollow = ramp(np.maximum(np.maximum(front, back), np.maximum(third, body)), 0.38)
    caudate = ellipse(wide, y, (0.083, 0.41), (0.024, 0.048), 0.35)
    thalamus = ellipse(wide, y, (0.052, 0.535), (0.036, 0.052), 0.2)
    lentiform = ellipse(wide, y, (0.135, 0.475), (0.030, 0.072), -0.22)
    insula = ellipse(wide, y, (0.205, 0.48), (0.012, 0.075))
    deep = np.maximum(np.maximum(caudate, thalamus), np.maximum(lentiform, insula))
    return ramp(deep, 0.25), hollow


def _changed(mark: Mark, levels: tuple[float, ...], shown: tuple[Array, Array], canvas: Canvas, light: Array) -> Array:
    """Lay a finding over the picture, layer by layer from its edge to its core."""
    strength, depth = shown
    light = light + strength * (levels[0] - light)
    if mark.name == "lesion":
        return light
    first, second = (0.42, 0.62) if mark.name == "tumour" else (0.24, 0.42)
    bumps = 0.10 * canvas.texture(22, mark.seed + 4)
    light = light + strength * ramp(depth - first + bumps, 0.14) * (levels[1] - light)
    return np.asarray(light + strength * ramp(depth - second - bumps, 0.14) * (levels[2] - light))
