"""The page of real audits, in a browser: MNIST, CIFAR-10, a table, and one whose names are hostile."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from browser import Tab, browser

import robustcheck as rc
from robustcheck import report as reports
from robustcheck.policy import Policy, Rule
from robustcheck.results import Check

QUICK = rc.SearchOptions(budget=60)
POLICY = Policy.of(
    Rule(metric="distortion.l2.median", min=100.0),
    Rule(metric="accuracy.robust.l2@0.3", min=0.1),
    Rule(metric="transfer.max", max=0.9),
    Rule(metric="check.labels"),
)

# of every element with text of its own: text, colour and the colours behind it, outermost last
COLOURS = """
[...document.querySelectorAll('body *')].filter(e => !e.closest('svg') &&
  [...e.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())).map(e => {
  const behind = [];
  for (let b = e; b; b = b.parentElement) behind.push(getComputedStyle(b).backgroundColor);
  return [e.textContent.trim().slice(0, 40), getComputedStyle(e).color, behind];
})
"""
# elements that reach beyond the window, but for what scrolls in a box of its own
TOO_WIDE = """
[...document.querySelectorAll('body *')].filter(e => !e.closest('.wide') &&
  e.getBoundingClientRect().right > document.documentElement.clientWidth + 1)
  .map(e => e.outerHTML.slice(0, 80))
"""


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    with browser(tmp_path_factory.mktemp("profile")) as found:
        yield found


def audited(folder: Path, *arguments: Any, assets: bool = False, **settings: Any) -> Path:
    rc.audit(*arguments, options=QUICK, policy=POLICY, out=folder / "out", report_assets=assets, **settings)
    return folder / "out" / "report.html"


@pytest.fixture(scope="module")
def pages(
    tmp_path_factory: pytest.TempPathFactory, shared_models: Path, mnist: dict[str, np.ndarray]
) -> dict[str, Path]:
    made: dict[str, Path] = {}
    model = keras.saving.load_model(shared_models / "mnist_sdpcrown_convsmall.keras", compile=False)
    small = keras.saving.load_model(shared_models / "mnist_advertorch_lenet5_std.keras", compile=False)
    images, labels = mnist["x_test"][:30], mnist["y_test"][:30]
    made["mnist"] = audited(
        tmp_path_factory.mktemp("mnist"), model, images, labels, references={"lenet5_std": small}
    )
    with np.load(shared_models.parent / "data" / "cifar10_exact_test_images.npz") as stored:
        x, y = stored["first100_x"][:30], stored["first100_y"][:30]
    cnn = keras.saving.load_model(shared_models / "cifar10_sdpcrown_cnn_a.keras", compile=False)
    made["cifar10"] = audited(tmp_path_factory.mktemp("cifar"), cnn, x, y, assets=True)
    return made


@pytest.fixture(scope="module")
def tabular(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from sklearn.datasets import load_wine

    x, y = load_wine(return_X_y=True)
    low, high = x.min(axis=0), x.max(axis=0)
    scaled = ((x - low) / (high - low)).astype(np.float32)
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((13,)), keras.layers.Dense(3)], name="wine")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.05), loss)
    model.fit(scaled, y, epochs=30, verbose=0)
    return audited(tmp_path_factory.mktemp("wine"), model, scaled[:60], y[:60], class_names=("a", "b", "c"))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory, dense: Any, pixels: np.ndarray, digits: Any) -> Path:
    evil = '<script>document.title="owned"</script></td></style><img src=x onerror=alert(1)>\u202e[red]=cmd()'
    report = rc.audit(dense, pixels[:20], digits[1][:20], options=QUICK, class_names=(evil,) * 10)
    folder = tmp_path_factory.mktemp("hostile") / "out"
    named = replace(
        report,
        model=replace(report.model, name=evil, path=evil, head=evil),
        checks=[Check(id="labels", outcome="WARN", detail=evil)],
    )
    reports.write_report(named, folder)
    return folder / "report.html"


def luminance(colour: tuple[float, ...]) -> float:
    """Relative luminance of WCAG 2.1."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def rgba(text: str) -> tuple[float, float, float, float]:
    """``rgb(1, 2, 3)``, ``rgba(1, 2, 3, .5)`` or ``color(srgb .1 .2 .3 / .4)`` as shares."""
    numbers = [
        float(number) for number in re.findall(r"[-+.\de]+", text.partition("(")[2].replace("srgb", ""))
    ]
    scale = 1.0 if text.startswith("color(") else 255.0
    return (
        numbers[0] / scale,
        numbers[1] / scale,
        numbers[2] / scale,
        numbers[3] if len(numbers) > 3 else 1.0,
    )


def contrast(ink: str, behind: list[str]) -> float:
    shown = (1.0, 1.0, 1.0)
    for layer in reversed(behind):
        r, g, b, opacity = rgba(layer)
        shown = tuple(opacity * new + (1 - opacity) * old for new, old in zip((r, g, b), shown, strict=True))  # type: ignore[assignment]
    dark, other = sorted((luminance(rgba(ink)[:3]), luminance(shown)))
    return (other + 0.05) / (dark + 0.05)


def require_good(tab: Tab, page: Path, *, outside: bool = False) -> None:
    """What every page must be."""
    for scheme, width in (("light", 1000), ("dark", 360), ("light", 360)):
        tab.media(scheme)
        tab.width(width)
        tab.open(page)
        assert not tab.complaints()
        folder = page.parent.resolve().as_uri()
        assert all(url.startswith(("data:", folder)) for url in tab.requests())
        files = [url for url in tab.requests() if url.startswith("file:")]
        assert outside or files == [page.resolve().as_uri()]
        assert tab.value("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
        assert tab.value("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
        assert tab.value(TOO_WIDE) == []
        faint = [(text, ink) for text, ink, behind in tab.value(COLOURS) if contrast(ink, behind) < 4.5]
        assert faint == []
    assert tab.value("document.title").startswith("Robustness of ")
    once = "['header', 'main', 'footer', 'nav', 'h1'].every(t => document.querySelectorAll(t).length == 1)"
    assert tab.value(once)
    assert tab.value("[...document.images].every(i => i.alt)")
    assert tab.value("document.scripts.length") == 0
    assert tab.value("document.documentElement.lang") == "en"


def test_mnist(tab: Tab, pages: dict[str, Path]) -> None:
    require_good(tab, pages["mnist"])
    assert tab.value("document.images.length") >= 3 * 25
    assert "FAIL" in tab.value("document.querySelector('.verdict').textContent")
    assert tab.value("document.querySelectorAll('.noise').length") == 1
    assert tab.value("document.querySelectorAll('td.heat').length") == 4


def test_cifar10_with_assets_beside_it(tab: Tab, pages: dict[str, Path]) -> None:
    require_good(tab, pages["cifar10"], outside=True)
    assert tab.value("document.images.length") >= 3 * 5
    assert tab.value("getComputedStyle(document.querySelector('.triples')).display") == "grid"


def test_table(tab: Tab, tabular: Path) -> None:
    require_good(tab, tabular)
    assert tab.value("document.images.length") == 0
    assert "change most" in tab.value("document.querySelector('#examples').textContent")


def test_hostile(tab: Tab, hostile: Path) -> None:
    require_good(tab, hostile)
    assert '<script>document.title="owned"</script></td>' in tab.value("document.title")
    assert tab.value("document.querySelectorAll('img[src=x]').length") == 0


@pytest.mark.parametrize(
    ("found", "put"),
    [
        ("</h1>", "</h1><p style='color: red'>refused by the content policy</p>"),
        ("</h1>", "</h1><img src='https://example.org/x.png' alt='refused'>"),
        ("</h1>", "</h1><img src='data:image/png;base64,AAAA' alt='not an image'>"),
        ("</h1>", "</h1><svg width='900' height='5'></svg>"),
        ("</h1>", "</h1><h1>again</h1>"),
        ("</h1>", "</h1><p><font color='#999999'>faint</font></p>"),
    ],
)
def test_what_is_wrong_with_a_page_is_seen(
    tab: Tab, tabular: Path, tmp_path: Path, found: str, put: str
) -> None:
    text = tabular.read_text()
    assert found in text
    (tmp_path / "broken.html").write_text(text.replace(found, put, 1))
    with pytest.raises(AssertionError):
        require_good(tab, tmp_path / "broken.html")


def test_in_print(tab: Tab, tabular: Path) -> None:
    tab.media("light", "print")
    tab.open(tabular)
    assert tab.value("getComputedStyle(document.querySelector('nav')).display") == "none"
    assert tab.value("document.querySelector('main').innerText.length") > 1000
    tab.media()
