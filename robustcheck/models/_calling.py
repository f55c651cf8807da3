"""Call a model on flat rows: the output that is wanted, in the number of rows that the model takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from robustcheck.arrays import F32
from robustcheck.config import ModelOptions
from robustcheck.errors import ConfigError, ModelRefused, one_line
from robustcheck.models._ends import End, end_of, is_called
from robustcheck.models._inputs import name_of
from robustcheck.models._layout import InputLayout
from robustcheck.models._recorded import in_place
from robustcheck.numerics import Traced, traced
from robustcheck.text import brief, option

Tensor = Any
Function = Callable[[Tensor], Tensor]

# a row that moves by more than this with its company, in shares of the largest output, depends on it
_COMPANY = 1e-2


@dataclass(frozen=True, kw_only=True, eq=False)
class Output:
    """A model's chosen output as a function of flat rows.

    Attributes:
        call: ``[B, D] -> [B, units]``, in the model's own type; to be traced, never called as it is.
        signature: of the rows that ``call`` takes.
        graph: makes a graph ``[B, D] -> [B, ...]`` of a function built on ``call``, for any number of rows.
        probe: rows ``[P, D]`` that the model gives finite outputs for.
        end: what its graph ends in.
        values: outputs for ``probe``, ``[P, units]`` float32.
    """

    call: Function
    signature: tf.TensorSpec
    graph: Callable[[Function], Function]
    probe: Tensor
    end: End
    values: F32

    @property
    def units(self) -> int:
        """Outputs of a sample."""
        return int(self.values.shape[-1])


def output_of(model: Any, layout: InputLayout, options: ModelOptions, probes: list[F32]) -> Output:
    """Find out how a model can be called, by calling it on rows to try.

    Args:
        model: of any kind.
        layout: its inputs.
        options: which output is wanted.
        probes: sets of rows, of which the first one that works is taken.

    Raises:
        ModelRefused: no way to call it worked, or what came is not a score for each class.
        ConfigError: an output that is not there.
    """
    call, signature = _call(model, layout, options.output), tf.TensorSpec([layout.batch, layout.width])
    ends: list[End] = []

    def look(rows: Tensor) -> Tensor:
        # tracing shows the operations of a function to the function that is traced
        nonlocal call
        out = call(rows)
        if is_called(out):
            # what cannot be done in place is called as it is, and its end stays hidden
            with suppress(Exception):
                opened = in_place(call, signature)
                call, out = opened, opened(rows)
        ends.append(end_of(out))
        return out

    failures: list[Exception] = []
    for graph in _graphs(layout):
        for rows in probes:
            probe = tf.constant(rows)
            try:
                out = graph(look)(probe)
            except (ConfigError, ModelRefused):
                raise
            except Exception as error:
                failures.append(error)
                continue
            _require_scores(model, out)
            values = tf.cast(out, tf.float32).numpy()
            if np.isfinite(values).all(axis=1).any() or rows is probes[-1]:
                found = Output(
                    call=call, signature=signature, graph=graph, probe=probe, end=ends[-1], values=values
                )
                _require_own_rows(model, layout, found)
                return found
        if not isinstance(failures[0], tf.errors.UnimplementedError):
            break
    raise ModelRefused(
        f"{name_of(model)}: the model failed on a batch of shape {layout.describe()}: {one_line(failures[0])}"
    ) from failures[0]


def _call(model: Any, layout: InputLayout, output: str | int | None) -> Function:
    # a Keras layer is told that it is inference; a plain callable takes the batch alone
    arguments = {"training": False} if hasattr(model, "trainable_weights") else {}
    stateful = [part for part in all_layers(model) if getattr(part, "stateful", False)]

    def call(rows: Tensor) -> Tensor:
        for layer in stateful:  # each batch is a beginning: what was asked before must not matter
            _forget(layer)
        out = tf.convert_to_tensor(_choose(model, model(layout.from_rows(rows), **arguments), output))
        return tf.expand_dims(out, -1) if out.shape.rank == 1 else out

    return call


def _forget(layer: Any) -> None:
    reset = getattr(layer, "reset_state", None) or getattr(layer, "reset_states", None)
    if reset is not None:
        reset()


def all_layers(model: Any) -> Iterator[Any]:
    """A model, its layers, theirs and so on."""
    yield model
    wrapped = (getattr(model, name, None) for name in ("layer", "forward_layer", "backward_layer"))
    for part in (*(getattr(model, "layers", None) or ()), *wrapped):
        if hasattr(part, "get_config"):
            yield from all_layers(part)


def _choose(model: Any, out: Any, output: str | int | None) -> Tensor:
    if isinstance(out, Mapping):
        named = dict(out)
    elif isinstance(out, (list, tuple)):
        names = getattr(model, "output_names", None) or [str(i) for i in range(len(out))]
        named = dict(zip(names, out, strict=True))
    elif output in (None, 0, *(getattr(model, "output_names", None) or [])):
        return out
    else:
        raise ConfigError(
            f"{option('output')}: expected none (the model has one output), got {brief(output)}"
        )
    if output is None and len(named) == 1:
        return next(iter(named.values()))
    key = list(named)[output] if isinstance(output, int) and 0 <= output < len(named) else output
    if key not in named:
        raise ConfigError(
            f"{option('output')}: expected one of the model's outputs {list(named)}, got {brief(output)}"
        )
    return named[key]


def _graphs(layout: InputLayout) -> Iterator[Callable[[Function], Function]]:
    """Ways to make a graph of a function of rows; the second where an operation needs XLA."""
    signature = tf.TensorSpec([None, layout.width])
    if layout.batch is not None:
        size = layout.batch
        yield lambda function: traced(signature)(_in_lots(function, size, layout.width))
        return
    yield traced(signature)
    # such as channels first on a CPU, which XLA alone can do
    yield lambda function: traced(signature)(_by_xla(function, layout.width))


def _in_lots(function: Function, size: int, width: int) -> Function:
    """The function for any number of rows of one that takes ``size`` of them; the last row fills up."""
    inner = Traced(function, (tf.TensorSpec([size, width]),))
    lot = tf.TensorSpec(inner.output.shape, inner.output.dtype)

    def lots(rows: Tensor) -> Tensor:
        count = tf.shape(rows)[0]
        parts = tf.reshape(_filled_up(rows, -(-count // size) * size), [-1, size, width])
        out = tf.map_fn(inner, parts, fn_output_signature=lot)
        return tf.reshape(out, [-1, *out.shape[2:]])[:count]

    return lots


def _filled_up(rows: Tensor, size: Tensor) -> Tensor:
    """``size`` rows, of which those that are missing are the last again: a row of zeros may be outside."""
    return tf.concat([rows, tf.tile(rows[-1:], [size - tf.shape(rows)[0], 1])], axis=0)


def _by_xla(function: Function, width: int) -> Function:
    """Compile by XLA. It makes code for each number of rows anew, so they are filled up to powers of two."""
    inner = Traced(function, (tf.TensorSpec([None, width]),), jit_compile=True)

    def filled(rows: Tensor) -> Tensor:
        count = tf.shape(rows)[0]
        bits = tf.math.ceil(tf.math.log(tf.cast(tf.maximum(count, 1), tf.float32)) / np.log(2) - 1e-3)
        size = tf.minimum(count, 1) * tf.cast(tf.round(2.0**bits), tf.int32)
        return inner(tf.ensure_shape(_filled_up(rows, size), [None, width]))[:count]

    return filled


def _require_scores(model: Any, out: Tensor) -> None:
    if len(out.shape) != 2:
        raise ModelRefused(
            f"{name_of(model)}: expected outputs (N, classes), got {('N', *out.shape[1:])}: not a "
            "classifier of one class a sample"
        )
    if not out.dtype.is_floating:
        raise ModelRefused(
            f"{name_of(model)}: expected scores as floating point outputs, got {out.dtype.name}: a decision "
            "alone has no gradient to search along"
        )


def _require_own_rows(model: Any, layout: InputLayout, output: Output) -> None:
    """A model that takes one number of rows is given others' rows beside a sample: they must not matter."""
    if layout.batch is None or layout.batch == 1:
        return
    graph = output.graph(lambda rows: tf.cast(output.call(rows), tf.float32))
    order = np.arange(layout.batch)
    first = graph(tf.gather(output.probe, order % output.probe.shape[0])).numpy()[0]
    order[1:] += 1
    again = graph(tf.gather(output.probe, order % output.probe.shape[0])).numpy()[0]
    if np.max(np.abs(first - again)) > _COMPANY * max(np.max(np.abs(first)), 1e-30):
        raise ModelRefused(
            f"{name_of(model)}: the model takes batches of {layout.batch} only, and its rows influence one "
            "another: no answer is a sample's own; rebuild it with an open batch size, or without batch "
            "statistics"
        )
