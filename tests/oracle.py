"""The book's model by NumPy and SciPy, in double precision.

Weights are in the order of ravel_pytree: b, w1, w2.
"""

import jax
import numpy as np
from scipy import special


def params_of(b, w1, w2):
    weights = {"b": b, "w1": w1, "w2": w2}
    return {"params": jax.tree.map(np.float32, weights)}


def as_vector(params):
    """Return the weights on a last axis of length 3."""
    leaves = [params["params"][name] for name in ("b", "w1", "w2")]
    return np.stack(leaves, axis=-1, dtype=float)


def columns_of(data):
    x, y = (np.asarray(column, float) for column in (data.x, data.y))
    return np.column_stack([np.ones_like(x), x, y])


def means_of(weights, data):
    """Return mean cross-entropy, gradient and Hessian at (b, w1, w2)."""
    columns, label = columns_of(data), np.asarray(data.label)
    logit = columns @ weights
    loss = -special.log_expit(np.where(label, logit, -logit)).mean()
    p = special.expit(logit)
    gradient = (p - label) @ columns / len(label)
    hessian = (columns.T * (p * special.expit(-logit))) @ columns / len(label)
    return loss, gradient, hessian
