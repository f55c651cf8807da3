"""How a classifier is made, so that another process can make the same."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from robustcheck import intake
from robustcheck.config import BoxLike, FileOptions, ModelOptions
from robustcheck.errors import ConfigError, ModelRefused, one_line
from robustcheck.identity import content_of
from robustcheck.models import Classifier, wrap

# a file that was looked at and tried before, and has the same digest
KNOWN = FileOptions(preflight="never")
# classifiers of files, by the digest of the file and of how they are wrapped; how many are kept
_wrapped: dict[str, Classifier] = {}
_MOST_WRAPPED = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Recipe:
    """A model and how it is to be wrapped.

    Attributes:
        source: a model file, ``package.module:factory`` or a live model.
        model: that was loaded of it in this process.
        sha256: of the file, where it is one.
        weights: digest of the weights that a factory's model has, which it must have each time.
        imports: modules with the user's own layers.
        name: what reports call it; None = as the model calls itself.
        box, options, freeze, cost: as :func:`robustcheck.wrap` takes them.
        files: how far a file is believed.
    """

    source: Any
    model: Any = None
    sha256: str | None = None
    weights: str | None = None
    imports: tuple[str, ...] = ()
    name: str | None
    box: BoxLike
    options: ModelOptions
    freeze: Any = None
    cost: Any = None
    files: FileOptions = KNOWN

    def content(self) -> str | None:
        """Digest of the model's file, or of a live one; None where that cannot be told."""
        return self.sha256 or content_of(self.model)

    def wrapped(self) -> Classifier:
        """The model wrapped; a classifier is taken as its maker wrapped it, under the name given."""
        model = self.model
        if isinstance(model, Classifier):
            return model if self.name is None else replace(model, name=self.name)
        return wrap(
            model,
            box=self.box,
            name=self.name,
            freeze=self.freeze,
            cost=self.cost,
            **vars(self.options),
        )

    def shared(self) -> Classifier:
        """The same for what only asks the model: one file, wrapped in one way, is traced once a process.

        Live models may change in ways that nobody sees, and files that bring code may keep a state, so these
        are wrapped each time; and so is one that there is a warning about, for the warning.
        """
        key = self._key()
        known = None if key is None else _wrapped.get(key)
        # whatever became of the model that was wrapped: the one that was just loaded has the file's weights
        if known is None or _weights_of(known) != _weights_of(self.model):
            known = self.wrapped()
            if key is not None and known.ends_in.recovered is not False:
                _wrapped[key] = known
                while len(_wrapped) > _MOST_WRAPPED:
                    del _wrapped[next(iter(_wrapped))]
        return known if self.name is None else replace(known, name=self.name)

    def _key(self) -> str | None:
        if self.sha256 is None or self.imports or self.files.trust_model:
            return None
        return content_of([self.sha256, self.box, self.options, self.freeze, self.cost])

    def open(self) -> Classifier:
        """Load the model and wrap it.

        Raises:
            ModelRefused: it cannot be loaded, or its file is another one by now.
        """
        loaded = intake.load_model(self.source, self.name, self.imports, self.files)
        if loaded.sha256 != self.sha256:
            raise ModelRefused(f"{self.source}: expected the file that the audit began with, got another")
        if self.weights is not None and _weights_of(loaded.model) != self.weights:
            raise ModelRefused(
                f"{self.source}: expected a function that gives the same model each time, got other weights "
                "in another process: let it load a file, or seed what it draws"
            )
        return replace(self, model=loaded.model).wrapped()

    @staticmethod
    def of_classifier(classifier: Classifier) -> Recipe:
        """The model that a classifier was made of, wrapped in the same way."""
        return Recipe(
            source=classifier.model,
            name=classifier.name,
            box=(classifier.lower, classifier.upper),
            options=classifier.options,
            freeze=None if classifier.free.all() else ~classifier.free,
            cost=classifier.cost,
        )

    def portable(self, folder: Path) -> Recipe:
        """The recipe for another process: a live model is written to a file in the folder.

        Raises:
            ConfigError: a live model that cannot be written to a file and loaded from it.
        """
        if isinstance(self.source, str):
            return replace(self, model=None, weights=None if self.sha256 else _weights_of(self.model))
        if isinstance(self.source, Classifier):
            unwrapped = Recipe.of_classifier(self.source)
            return replace(unwrapped, imports=self.imports, name=self.name).portable(folder)
        file = folder / f"{len(list(folder.iterdir()))}.keras"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)  # of Keras about NumPy
                self.source.save(file)
            intake.load_model(str(file), None, self.imports, self.files)
        except Exception as error:
            raise ConfigError(
                f"{self.name}: expected a model file or package.module:factory for work in other processes, "
                f"or a live model that Keras can save and load safely: {one_line(error)}"
            ) from error
        return replace(self, source=str(file), model=None, sha256=intake.sha256(file))


def _weights_of(model: Any) -> str | None:
    """Digest of the weights of a Keras model, wrapped or not; None where it is none."""
    model = model.model if isinstance(model, Classifier) else model
    if not hasattr(model, "get_weights"):
        return None
    return content_of(model.get_weights())
