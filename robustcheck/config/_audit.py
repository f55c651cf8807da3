"""One audit, as it is asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from robustcheck.config._box import Box, BoxLike
from robustcheck.config._options import (
    DeployedOptions,
    FileOptions,
    ModelOptions,
    SearchOptions,
    TransferOptions,
)
from robustcheck.config._reading import read_box, read_shard
from robustcheck.config._values import (
    DataRange,
    Draw,
    SearchedNorm,
    Target,
    nested,
    number_or_word,
    require,
    said,
    whole,
)
from robustcheck.text import option


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditConfig:
    """One audit, as the command line, Python or a test asks for it.

    Attributes:
        model: the subject: a file or ``package.module:factory``, perhaps ``name=`` before it; or a live
            model or classifier.
        data: an ``.npz``, ``x.npy,y.npy``, a folder of images or ``package.module:function``; or ``(x, y)``
            or a ``tf.data.Dataset``.
        references: models that the examples are tried on, and that are attacked themselves; by name, or as
            the subject is given.
        out: the report folder; must not exist unless ``force``, and then only if robustcheck made it. None =
            nothing is written.
        box: the values a model takes, or the ``.npz`` with them; classifiers bring their own.
        data_range: the stored values that are mapped to the box.
        x_key, y_key: arrays of the ``.npz``.
        class_names: file with one name a line, or the names.
        freeze: mask of features that may not change, or the file with it; by input of a model with several.
        cost: of a change of each feature by 1, or the file with it; by input of a model with several.
            Lengths are of cost times change.
        labels: ``"data"``, or ``"model"`` to audit against the subject's own predictions.
        target: None, ``"random"``, ``"least-likely"`` or the number of a class.
        limit: samples at most.
        sample: how these are drawn of the source: ``"first"`` rows, ``"random"``, or ``"stratified"``, at
            random with the classes in proportion.
        max_data_bytes: that data may unpack to, or that are read of what does not tell its length.
        skip_bad: leave images out that cannot be read, as long as they are no more than a share ``max_bad``.
        files: how far model files are believed before they are loaded.
        deployed: forms of the subject that are held against it.
        model_options: how the models are to be read, where they do not tell. References with one input or
            output need no word on which.
        imports: modules with the user's own layers, for model files that are saved with them.
        batch_size: samples searched at once, None = chosen.
        transfer: ``"all"`` attacks the references too, ``"one-way"`` the subject alone.
        transfer_rms: sizes at which all models' examples are compared besides their own.
        noise_draws: draws of the Gaussian noise that examples are compared with.
        options: how to search.
        norms: in which distances are to be the shortest, a search each; the first is that of the examples
            which are tried on other models. None = the one of ``options``.
        policy: rules that the report is judged by, or the file with them.
        baseline: report that changes are measured against, or its folder.
        report_assets: write styles and images as files beside the page.
        jobs: processes that search at once; each loads the models once, and has its share of the cores.
            None = this process alone, or as many workers as Ray has room for.
        executor: ``"local"``, on this machine; ``"ray"``; or any ``concurrent.futures.Executor``.
        ray_address: of a cluster; None = a Ray of this machine is started, and stopped after.
        gpus_per_worker: of each worker on Ray, or a share of one.
        resume: go on with what an audit that was stopped left in ``out``; begin where there is nothing.
        shard: ``(k, n)``: of all shards only every n-th, from the k-th; for ``robustcheck merge``.
        no_examples: leave samples and examples out of the report: distances alone.
        command: what was typed, for the report.
        settings: as they were written, for a plan that another process goes on with.
    """

    model: Any = field(metadata=said("the model to audit", "", written=str))
    data: Any = field(metadata=said("samples and labels", "", written=str, metavar="SOURCE"))
    references: tuple[Any, ...] | Mapping[str, Any] = field(
        default=(),
        metadata=said(
            "another model, or a folder of models: do the examples fool it too?",
            "transfer",
            key="reference",
            metavar="MODEL",
            written=tuple[str, ...],
        ),
    )
    out: Path | None = field(
        default=None, metadata=said("report folder", "output", metavar="DIR", written=str, read=Path)
    )
    force: bool = field(default=False, metadata=said("replace a report that is there", "output"))
    box: BoxLike | Path = field(
        default=(0.0, 1.0),
        metadata=said(
            "values that the model takes: two numbers, or an .npz with arrays lower and upper (of several "
            "inputs: INPUT.lower and INPUT.upper)",
            "data",
            metavar="LO HI | FILE.npz",
            written=tuple[float, float] | str,
            read=read_box,
            default="0 1",
        ),
    )
    data_range: DataRange = field(
        default=None,
        metadata=said(
            "stored values that are mapped to the box",
            "data",
            metavar=("LO", "HI"),
            written=tuple[float, float],
            default="0 255 for uint8, else the box",
        ),
    )
    x_key: str | None = field(
        default=None,
        metadata=said("array of samples in the .npz", "data", metavar="K", default="x or x_test"),
    )
    y_key: str | None = field(
        default=None,
        metadata=said(
            "array of labels in the .npz, or the label meant of several",
            "data",
            metavar="K",
            default="y or y_test",
        ),
    )
    class_names: Path | tuple[str, ...] | None = field(
        default=None,
        metadata=said("names of the classes, one a line", "data", metavar="FILE", written=str, read=Path),
    )
    freeze: Any = field(
        default=None,
        metadata=said(
            "mask of features that may not change: an .npy, or an .npz with an array freeze (of several "
            "inputs: INPUT.freeze)",
            "data",
            metavar="FILE",
            written=str,
            read=Path,
        ),
    )
    cost: Any = field(
        default=None,
        metadata=said(
            "what a change of each feature by 1 costs: an .npy, or an .npz with an array cost, for a "
            "sample (of several inputs: INPUT.cost); lengths are of cost times change",
            "data",
            metavar="FILE",
            written=str,
            read=Path,
            default="1",
        ),
    )
    labels: Literal["data", "model"] = field(
        default="data",
        metadata=said("model: audit without labels, against the model's own predictions", "data"),
    )
    target: Target = field(
        default=None,
        metadata=said(
            "class to reach",
            "data",
            metavar="random|least-likely|CLASS",
            written=str | int,
            read=number_or_word,
            default="any other than the label",
        ),
    )
    limit: int | None = field(default=None, metadata=said("audit at most N samples", "data"))
    sample: Draw = field(
        default="stratified",
        metadata=said(
            "how these are drawn: the first rows, at random, or at random with the classes in proportion",
            "data",
        ),
    )
    max_data_bytes: int = field(
        default=32 * 2**30,
        metadata=said(
            "bytes that data may unpack to, or that are read of a source that does not tell its length",
            "trust",
            default="32 GiB",
        ),
    )
    skip_bad: bool = field(
        default=False, metadata=said("leave images out that cannot be read, and count them", "data")
    )
    max_bad: float = field(
        default=0.01,
        metadata=said("share of images that may be left out; beyond it nothing is audited", "data"),
    )
    deployed: DeployedOptions = field(default_factory=DeployedOptions, metadata=nested(DeployedOptions))
    model_options: ModelOptions = field(default_factory=ModelOptions, metadata=nested(ModelOptions))
    files: FileOptions = field(default_factory=FileOptions, metadata=nested(FileOptions))
    imports: tuple[str, ...] = field(
        default=(),
        metadata=said(
            "package.module with your own layers, for a model file that is saved with them; it is run",
            "model",
            flag="import",
            metavar="MODULE",
        ),
    )
    options: SearchOptions = field(default_factory=SearchOptions, metadata=nested(SearchOptions))
    norms: tuple[SearchedNorm, ...] | None = field(
        default=None,
        metadata=said(
            "norm in which distances are to be the shortest, a search each",
            "search",
            key="norm",
            default="l2",
        ),
    )
    batch_size: int | None = field(
        default=None, metadata=said("samples searched at once", "search", default="by their size")
    )
    transfer: Literal["all", "one-way"] = field(
        default="all", metadata=said("one-way: do not make examples for the references", "transfer")
    )
    transfer_rms: tuple[float, ...] = field(
        default=(),
        metadata=said("also compare all models' examples scaled to this RMS", "transfer", metavar="RMS"),
    )
    noise_draws: int = field(
        default=TransferOptions.draws,
        metadata=said("draws of the noise that examples are compared with", "transfer"),
    )
    policy: Any = field(
        default=None,
        metadata=said(
            "rules that the report is judged by; sets the exit code",
            "gate",
            metavar="FILE",
            written=str,
            read=Path,
        ),
    )
    baseline: Any = field(
        default=None,
        metadata=said(
            "report that the policy measures changes against",
            "gate",
            metavar="REPORT",
            written=str,
            read=Path,
        ),
    )
    report_assets: bool = field(
        default=False,
        metadata=said(
            "write styles and images as files beside report.html, for servers that forbid inline content",
            "output",
        ),
    )
    no_examples: bool = field(
        default=False,
        metadata=said("leave samples and examples out of the report's files: distances alone", "output"),
    )
    verbose_provenance: bool = field(
        default=False,
        metadata=said("leave absolute paths in the report, which tell of users and machines", "output"),
    )
    jobs: int | None = field(
        default=None,
        metadata=said(
            "processes that search at once, each with its share of the cores",
            "work",
            default="1; on Ray as many as there is room for",
        ),
    )
    executor: Any = field(
        default="local", metadata=said("where searches run", "work", written=Literal["local", "ray"])
    )
    ray_address: str | None = field(
        default=None,
        metadata=said(
            "Ray cluster to search on", "work", metavar="A", default="a Ray of this machine, for the while"
        ),
    )
    gpus_per_worker: float = field(
        default=0.0, metadata=said("GPUs of each worker on Ray, or a share of one", "work", metavar="G")
    )
    shard: tuple[int, int] | None = field(
        default=None,
        metadata=said(
            "do every N-th piece of the work alone, from the K-th, for robustcheck merge",
            "work",
            metavar="K/N",
            written=str,
            read=read_shard,
        ),
    )
    resume: bool = field(
        default=False, metadata=said("go on with an audit that was stopped, in the same folder", "work")
    )
    command: str | None = None
    settings: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        self._require_work()
        fits = whole(self.max_data_bytes, 1)
        require(fits, option("max_data_bytes"), "a whole number of at least 1", self.max_data_bytes)
        require(0 <= self.max_bad < 1, option("max_bad"), "a share from 0 to less than 1", self.max_bad)
        for name in ("limit", "batch_size"):
            value = getattr(self, name)
            fits = value is None or whole(value, 1)
            require(fits, option(name), "a whole number of at least 1", value)
        choices = {"labels": ("data", "model"), "transfer": ("all", "one-way"), "sample": get_args(Draw)}
        for name, known in choices.items():
            value = getattr(self, name)
            require(value in known, option(name), f"one of {list(known)}", value)
        require(isinstance(self.options, SearchOptions), "options", "SearchOptions", self.options)
        self._require_norms()
        worded = self.target is None or self.target in ("random", "least-likely") or whole(self.target, 0)
        require(worded, option("target"), "random, least-likely or the number of a class", self.target)
        self._require_ranges()
        # refused before models and data are loaded
        TransferOptions(rms=self.transfer_rms, draws=self.noise_draws)
        alone = self.transfer_rms and not self.references
        require(not alone, option("transfer_rms"), "a reference to compare with", "none")
        judged = self.baseline is None or self.policy is not None
        require(judged, option("baseline"), "a policy beside it", "none")

    @property
    def searches(self) -> tuple[SearchOptions, ...]:
        """How to search in each norm."""
        return tuple(replace(self.options, norm=norm) for norm in self.norms or (self.options.norm,))

    def _require_work(self) -> None:
        some = self.jobs is None or whole(self.jobs, 1, 1024)
        require(some, option("jobs"), "a whole number of at least 1", self.jobs)
        named = self.executor in ("local", "ray")
        known = named or hasattr(self.executor, "submit")
        require(known, option("executor"), "'local', 'ray' or a concurrent.futures.Executor", self.executor)
        alone = self.jobs is None or named
        require(alone, option("jobs"), "none beside an executor, which has its own workers", self.jobs)
        for name, unset in (("ray_address", None), ("gpus_per_worker", 0.0)):
            value = getattr(self, name)
            meant = value == unset or self.executor == "ray"
            require(meant, option(name), f"{option('executor', 'ray')} beside it", self.executor)
        positive = math.isfinite(self.gpus_per_worker) and self.gpus_per_worker >= 0
        require(positive, option("gpus_per_worker"), "a number of 0 or more", self.gpus_per_worker)
        if self.shard is not None:
            k, n = self.shard
            require(1 <= k <= n, option("shard"), "K/N with K from 1 to N", f"{k}/{n}")
        for name in ("resume", "shard"):
            kept = self.out is not None or not getattr(self, name)
            require(kept, option(name), f"a folder to keep the work in, {option('out')}", "none")

    def _require_norms(self) -> None:
        norms = self.norms
        if norms is None:
            return
        known = get_args(SearchedNorm)
        fits = (
            isinstance(norms, tuple) and norms and set(norms) <= set(known) and len(set(norms)) == len(norms)
        )
        require(bool(fits), "norms= (--norm)", f"some of {list(known)}, each once", norms)
        same = self.options.norm in ("l2", norms[0])
        require(same, "norms= (--norm)", f"{self.options.norm!r} first, as the options say", norms)
        # a norm that the method does not search is refused here
        _ = self.searches

    def _require_ranges(self) -> None:
        given = self.data_range
        for low, high in given.values() if isinstance(given, Mapping) else [] if given is None else [given]:
            finite = math.isfinite(low) and math.isfinite(high)
            require(finite and low < high, option("data_range"), "finite low < high", (low, high))
        if isinstance(self.box, tuple):
            Box.of(self.box)
