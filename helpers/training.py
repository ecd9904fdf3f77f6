"""How a model learns: one step downhill, again and again.

Taught in chapter 4, except for ``fit``. Nothing here knows of lines, models or
plots, so any ``loss_fn(params, dataset)`` that returns a scalar can be used.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import optax

from helpers._checks import check_whole


def train_step(
    loss_fn: Callable[[Any, Any], jax.Array],
    optimizer: optax.GradientTransformation,
    params: Any,
    opt_state: optax.OptState,
    dataset: Any,
) -> tuple[Any, optax.OptState, jax.Array]:
    """Take one step of ``optimizer`` on the whole data set.

    Args:
        loss_fn: ``loss_fn(params, dataset)`` returns a scalar.
        optimizer: an Optax gradient transformation.
        params: where to step from, any pytree of floats.
        opt_state: what ``optimizer.init`` or the last step returned.
        dataset: any pytree of arrays, passed on to ``loss_fn``.

    Returns:
        The new params, the new state, and the loss *before* the step.

    Source: the blog's ``update_weights``, which loses the new state.
    """
    loss, grads = jax.value_and_grad(loss_fn)(params, dataset)
    updates, opt_state = optimizer.update(grads, opt_state, params)
    params = optax.apply_updates(params, updates)
    return params, opt_state, loss


class History(NamedTuple):
    """A run, epoch by epoch, stacked on a leading axis of length epochs.

    Row k of ``loss`` is from before update k, and row k of ``params`` from
    after it. So ``loss[k]`` belongs to row k - 1 of ``params``, which does
    not hold the start (taught in chapter 5).
    """

    loss: jax.Array
    params: Any


@partial(jax.jit, static_argnames=("loss_fn", "optimizer", "epochs"))
def fit(
    loss_fn: Callable[[Any, Any], jax.Array],
    params: Any,
    optimizer: optax.GradientTransformation,
    dataset: Any,
    epochs: int,
) -> tuple[Any, History]:
    """Train for ``epochs`` steps, each on the whole data set, as one program.

    Args:
        loss_fn: ``loss_fn(params, dataset)`` returns a scalar. Make it once
            and keep it: ``loss_fn`` and ``optimizer`` are compared by
            identity, so new ones are compiled again.
        params: where to start, any pytree of floats.
        optimizer: an Optax gradient transformation.
        dataset: any pytree of arrays, passed on to ``loss_fn``.
        epochs: how many steps.

    Returns:
        The trained params and the History of the run.

    Raises:
        ValueError: epochs is not a whole number above 0.

    Source: the blog's training loop, compiled; taught in chapter 5.
    """
    # A scan rounds 1.5 epochs down without a word.
    check_whole(1, epochs=epochs)

    def epoch(carry, _):
        params, opt_state = carry
        params, opt_state, loss = train_step(
            loss_fn, optimizer, params, opt_state, dataset
        )
        return (params, opt_state), History(loss, params)

    start = (params, optimizer.init(params))
    (params, _), history = jax.lax.scan(epoch, start, length=epochs)
    return params, history
