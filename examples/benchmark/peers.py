"""Attacks of Foolbox and ART, each a function ``(model, x, y) -> examples``, and what they spend.

An attack is called with a function from ``[B, ...]`` to logits, so that every forward and backward pass of a
row is counted alike, whatever the library does with the result.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

Tensor = Any
Attack = Callable[["CountedModel", np.ndarray, np.ndarray], np.ndarray]


class CountedModel:
    """A Keras model as a traced function to its logits that counts the rows it is asked for."""

    def __init__(self, model: Any) -> None:
        self.classes = model.output_shape[-1]
        # variables: some libraries trace what they are given
        self.gradients, self.forwards = (tf.Variable(0, dtype=tf.int64, trainable=False) for _ in range(2))
        self._logits = tf.function(lambda x: model(x, training=False), reduce_retracing=True)

        @tf.custom_gradient
        def counted(x: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
            def backward(upstream: Tensor) -> Tensor:
                self.gradients.assign_add(tf.shape(upstream, tf.int64)[0])
                return upstream

            return tf.identity(x), backward

        self._counted = counted

    def __call__(self, x: Tensor, training: bool = False) -> Tensor:
        """Logits of ``x``; libraries may pass ``training``, which is never wanted here."""
        assert not training
        self.forwards.assign_add(tf.shape(x, tf.int64)[0])
        return self._logits(self._counted(tf.convert_to_tensor(x)))


@dataclass(frozen=True)
class Foolbox:
    """A minimising attack of Foolbox 3, untargeted."""

    attack: str
    options: dict[str, Any]

    def __call__(self, model: CountedModel, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Examples for ``x``, or what Foolbox returned in their place."""
        import foolbox

        wrapped = foolbox.TensorFlowModel(model, bounds=(0, 1))
        attack = getattr(foolbox.attacks, self.attack)(**self.options)
        images, labels = tf.constant(x), tf.constant(y.astype(np.int64))
        try:
            _, examples, _ = attack(wrapped, images, labels, epsilons=None)
        except AssertionError:
            # Brendel-Bethge gives up a batch for one image that it finds no start for
            if len(x) == 1:
                return np.full_like(x, np.nan)
            halves = (slice(None, len(x) // 2), slice(len(x) // 2, None))
            return np.concatenate([self(model, x[half], y[half]) for half in halves])
        return examples.numpy()


@dataclass(frozen=True)
class Art:
    """An attack of the Adversarial Robustness Toolbox, untargeted."""

    attack: str
    options: dict[str, Any]

    def __call__(self, model: CountedModel, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """Examples for ``x``, or what ART returned in their place."""
        from art.attacks import evasion
        from art.estimators.classification import TensorFlowV2Classifier

        classifier = TensorFlowV2Classifier(
            model=model,
            nb_classes=model.classes,
            input_shape=x.shape[1:],
            loss_object=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            clip_values=(0.0, 1.0),
        )
        attack = getattr(evasion, self.attack)(classifier, batch_size=len(x), verbose=False, **self.options)
        return attack.generate(x, np.eye(model.classes, dtype=np.float32)[y])


@dataclass(frozen=True)
class Bisected:
    """Foolbox's basic iterative attack at a radius that is bisected for each image (Kurakin et al. 2017).

    The attack takes one radius for all images of a call, and is given one for each by its projection.
    """

    bisections: int
    steps: int
    top: float

    def __call__(self, model: CountedModel, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        """The example at the smallest radius that succeeded; NaN where none did."""
        import eagerpy as ep
        import foolbox

        class PerImage(foolbox.attacks.LinfBasicIterativeAttack):
            def project(self, at: Any, x0: Any, epsilon: Any) -> Any:
                return x0 + ep.minimum(ep.maximum(at - x0, -epsilon), epsilon)

        wrapped, attack = foolbox.TensorFlowModel(model, bounds=(0, 1)), PerImage(steps=self.steps)
        fails, succeeds = np.zeros(len(x), np.float32), np.full(len(x), self.top, np.float32)
        nearest = np.full_like(x, np.nan)
        for _ in range(self.bisections):
            middle = (fails + succeeds) / 2
            radius = ep.astensor(tf.constant(middle.reshape(-1, *[1] * (x.ndim - 1))))
            labels = tf.constant(y.astype(np.int64))
            found = attack.run(wrapped, tf.constant(x), foolbox.Misclassification(labels), epsilon=radius)
            wrong = model(found).numpy().argmax(axis=1) != y
            nearest[wrong] = found.numpy()[wrong]
            succeeds, fails = np.where(wrong, middle, succeeds), np.where(wrong, fails, middle)
        return nearest


PEERS: dict[str, Attack] = {
    "foolbox DeepFool": Foolbox("L2DeepFoolAttack", {"steps": 50}),
    "foolbox DDN 100": Foolbox("DDNAttack", {"steps": 100}),
    "foolbox DDN 1000": Foolbox("DDNAttack", {"steps": 1000}),
    "foolbox FMN 1000": Foolbox("L2FMNAttack", {"steps": 1000}),
    "art DeepFool": Art("DeepFool", {"max_iter": 50}),
    "art C&W 10x10": Art("CarliniL2Method", {"binary_search_steps": 10, "max_iter": 10}),
    "foolbox BB 1000": Foolbox("L2BrendelBethgeAttack", {"steps": 1000}),
    "foolbox C&W 9x1000": Foolbox("L2CarliniWagnerAttack", {"binary_search_steps": 9, "steps": 1000}),
}

# attacks of Foolbox that minimise a distance in other norms
PEERS_IN: dict[str, dict[str, Attack]] = {
    "l2": PEERS,
    "linf": {
        "foolbox DeepFool": Foolbox("LinfDeepFoolAttack", {"steps": 50}),
        "foolbox FMN 1000": Foolbox("LInfFMNAttack", {"steps": 1000}),
        "foolbox BIM 12x100": Bisected(bisections=12, steps=100, top=0.5),
        "foolbox BB 500": Foolbox("LinfinityBrendelBethgeAttack", {"steps": 500}),
    },
    "l1": {
        "foolbox FMN 1000": Foolbox("L1FMNAttack", {"steps": 1000}),
        "foolbox BB 500": Foolbox("L1BrendelBethgeAttack", {"steps": 500}),
        # its default weight of the loss is much too small here, and most searches would go into that
        "foolbox EAD": Foolbox(
            "EADAttack",
            {"binary_search_steps": 6, "steps": 1000, "initial_const": 0.1, "decision_rule": "L1"},
        ),
    },
}
