"""One file to copy: train a network on rows of your own, and keep it.

Taught in chapter 13. It imports nothing else of the book. ``data`` is a tuple
of rows and labels of the same length, and more columns if the loss wants them.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn


def divide(key: jax.Array, data: tuple, counts: Sequence[int]) -> list[tuple]:
    """Shuffle the rows, and cut them into parts.

    Args:
        key: a key of ``jax.random.key``.
        data: a tuple of NumPy arrays, each of n rows.
        counts: how many rows each part has, such as (360, 288).

    Returns:
        The parts, and one more at the end, with the rows that are left.
    """
    data = tuple(np.asarray(column) for column in data)
    if len({len(column) for column in data}) > 1:
        raise ValueError(f"lengths differ: {[len(c) for c in data]}")
    if sum(counts) >= len(data[0]):
        raise ValueError(f"no row is left of {len(data[0])} after {counts}")
    order = np.asarray(jax.random.permutation(key, len(data[0])))
    parts = np.split(order, np.cumsum(counts))
    return [tuple(column[rows] for column in data) for rows in parts]


def find_scaling(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each column's mean and standard deviation.

    The standard deviation of a constant column is given as infinity, so that
    dividing by it makes the column 0 in every row.

    Args:
        X: of shape (n, d): the rows of the training part only.
    """
    constant = X.max(axis=0) == X.min(axis=0)
    sd = np.where(constant, np.inf, X.std(axis=0, dtype=np.float64))
    return X.mean(axis=0, dtype=np.float64), sd


class MLP(nn.Module):
    """Layers with tanh in between; the last width is the output's.

    Rows of shape (n, d) become outputs of shape (n, widths[-1]).
    """

    widths: tuple[int, ...]  # the last one is the number of classes

    @nn.compact
    def __call__(self, X: jax.Array) -> jax.Array:
        for width in self.widths[:-1]:
            X = nn.tanh(nn.Dense(width)(X))
        return nn.Dense(self.widths[-1])(X)


def class_loss(apply: Callable, params: Any, data: tuple) -> jax.Array:
    """Return the mean cross-entropy of K classes, in nats.

    Args:
        apply: ``apply(params, X)`` returns logits of shape (n, K).
        params: the model's.
        data: rows X and labels 0 … K - 1, int of shape (n,).

    Returns:
        A scalar, NaN if a label is not from 0 to K - 1.
    """
    X, label = data
    logits = apply(params, X)
    if label.shape != logits.shape[:-1]:
        raise ValueError(f"labels {label.shape} for logits {logits.shape}")
    loss = optax.softmax_cross_entropy_with_integer_labels(logits, label)
    known = (label >= 0) & (label < logits.shape[-1])
    return jnp.where(known, loss, jnp.nan).mean()


def squared_loss(apply: Callable, params: Any, data: tuple) -> jax.Array:
    """Return the mean squared error of a model with one output.

    Args:
        apply: ``apply(params, X)`` returns outputs of shape (n, 1).
        params: the model's.
        data: rows X and targets of shape (n,).
    """
    X, target = data
    outputs = apply(params, X)
    if outputs.shape != (*target.shape, 1):
        raise ValueError(f"targets {target.shape}, outputs {outputs.shape}")
    return jnp.mean((outputs[:, 0] - target) ** 2)


def make_epoch(
    loss_fn: Callable, optimizer: optax.GradientTransformation, batch: int
) -> Callable:
    """Return a compiled pass through all rows, in a given order.

    Args:
        loss_fn: ``loss_fn(params, data)`` returns a scalar.
        optimizer: one of Optax's.
        batch: rows in a minibatch; a shorter one at the end is left out.

    Returns:
        ``epoch(params, state, data, order)``, which returns the new params,
        the optimizer's new state, and the mean loss of the minibatches.
    """

    @jax.jit
    def epoch(params, state, data, order):
        def step(carry, rows):
            params, state = carry
            some = jax.tree.map(lambda column: column[rows], data)
            loss, grads = jax.value_and_grad(loss_fn)(params, some)
            updates, state = optimizer.update(grads, state, params)
            params = optax.apply_updates(params, updates)
            return (params, state), loss

        full = len(order) // batch * batch
        batches = order[:full].reshape(-1, batch)
        carry, losses = jax.lax.scan(step, (params, state), batches)
        return *carry, losses.mean()

    return epoch


def train(
    key: jax.Array,
    loss_fn: Callable,
    params: Any,
    optimizer: optax.GradientTransformation,
    data: tuple,
    held: tuple,
    batch: int = 32,
    epochs: int = 500,
    wait: int = 20,
) -> tuple[Any, np.ndarray]:
    """Train until the validation loss has not fallen for ``wait`` epochs.

    Each call compiles its epoch again.

    Args:
        key: draws the order of the rows, a new one for each epoch.
        loss_fn: ``loss_fn(params, data)`` returns a scalar.
        params: where to start.
        optimizer: one of Optax's.
        data: the training part.
        held: the validation part.
        batch: rows in a minibatch.
        epochs: at most so many.
        wait: how many epochs without a lower validation loss end the run.

    Returns:
        The params of the lowest validation loss, and the validation loss at
        the start and after each epoch.

    Raises:
        ValueError: a loss is not finite, on the training or the validation
            part; columns differ in length; or the rows fill no minibatch.
    """
    if any(
        len({*map(len, jax.tree.leaves(part))}) > 1 for part in (data, held)
    ):
        raise ValueError("rows and labels differ in length")
    if len(data[0]) < batch:
        raise ValueError(f"{len(data[0])} rows fill no batch of {batch}")
    data, held = jax.device_put((data, held))
    epoch, judge = make_epoch(loss_fn, optimizer, batch), jax.jit(loss_fn)
    state, best = optimizer.init(params), params
    losses, waited = [float(judge(params, held))], 0
    for order_key in jax.random.split(key, epochs):
        order = jax.random.permutation(order_key, len(data[0]))
        params, state, cost = epoch(params, state, data, order)
        now, waited = float(judge(params, held)), waited + 1
        if not np.isfinite(now + cost):
            raise ValueError(f"epoch {len(losses)}: losses {cost}, {now}")
        if now < min(losses):
            best, waited = params, 0
        losses.append(now)
        if waited == wait:
            break
    return best, np.array(losses)


def save(
    path: str | Path, params: Any, mean: Any, sd: Any, **more: Any
) -> None:
    """Write an MLP and its scaling to a file whose name ends in .npz.

    Args:
        path: where to write.
        params: those of an ``MLP``.
        mean, sd: what ``find_scaling`` returned, of shape (d,).
        more: other arrays by name, such as the labels' names.
    """
    if not len(mean) == len(sd) == len(params["params"]["Dense_0"]["kernel"]):
        raise ValueError(f"{len(mean)} means and {len(sd)} sds do not fit")
    if any(np.asarray(value).dtype == object for value in more.values()):
        raise ValueError("objects do not load again; make texts a list")
    flat = {
        f"{layer}/{name}": array
        for layer, arrays in params["params"].items()
        for name, array in arrays.items()
    }
    np.savez(path, mean=mean, sd=sd, **flat, **more)


def load(path: str | Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that turns raw rows into outputs, by NumPy alone.

    Args:
        path: where ``save`` wrote the file.

    Returns:
        A function of rows as they were measured, of shape (n, d) or (d,).
    """
    with np.load(path) as file:
        kept = dict(file)

    def outputs(X):
        if np.shape(X)[-1:] != kept["mean"].shape:
            raise ValueError(f"{np.shape(X)} are not {kept['mean'].shape}")
        if not np.isfinite(X).all():
            raise ValueError("a value is missing or infinite")
        X = (X - kept["mean"]) / kept["sd"]
        for k in range(sum(name.endswith("/kernel") for name in kept)):
            X = np.tanh(X) if k else X
            X = X @ kept[f"Dense_{k}/kernel"] + kept[f"Dense_{k}/bias"]
        return X

    return outputs
