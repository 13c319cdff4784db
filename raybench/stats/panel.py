"""How many independent judges a panel is worth.

>>> import numpy as np
>>> float(effective_judges(np.array([[1.0, 1], [0, 0], [1, 1], [0, 0]]), np.ones((1, 4)))[0])
1.0
"""

from __future__ import annotations

from typing import Any

import numpy as np

from raybench.interfaces import Array

__all__ = ["effective_judges"]


def effective_judges(scores: Any, weights: Any) -> Array:
    """Return Kish's effective number of judges, k/(1 + (k - 1) r), with r the mean correlation of their scores.

    The mean of k scores of equal variance and mean correlation r varies as that of so many independent ones
    (Kish 1965, Survey Sampling, on clusters). A judge who always says the same correlates with nobody: r leaves
    his pairs out. A mean correlation under 0 counts as 0, so that the number never exceeds k.

    Args:
        scores: (n, k) one column a judge. weights: (B, n), non-negative.

    Returns:
        (B,) numbers from 1 to k; NaN where no two judges vary.
    """
    values, given = np.asarray(scores, dtype=float), np.asarray(weights, dtype=float)
    k = values.shape[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = given / given.sum(axis=1, keepdims=True)
        means = shares @ values
        products = np.einsum("bn,ni,nj->bij", shares, values, values, optimize=True)
        covariance = products - means[:, :, None] * means[:, None, :]
        spread = np.sqrt(np.clip(np.einsum("bii->bi", covariance), 0, None))
        known = spread > 1e-9
        correlation = covariance / (spread[:, :, None] * spread[:, None, :])
    pairs = np.triu(np.ones((k, k), dtype=bool), 1) & known[:, :, None] & known[:, None, :]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(pairs, correlation, 0.0).sum(axis=(1, 2)) / pairs.sum(axis=(1, 2))
    return np.asarray(k / (1 + (k - 1) * np.clip(mean, 0.0, 1.0)))
