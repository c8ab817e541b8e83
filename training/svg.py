"""Drawings as SVG that stands inside a page: its colours follow the page, its ids are its own."""

import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

# drawn in these, replaced by the page's own, so that one drawing serves light, dark and paper
INK, MUTED, GRID, MAIN, OTHER, WARN = "#010101", "#020202", "#030303", "#040404", "#050505", "#060606"
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    GRID: "var(--line)",
    MAIN: "var(--main)",
    OTHER: "var(--other)",
    WARN: "var(--warn)",
}
_STYLE = {
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "font.family": "DejaVu Sans",
    "font.size": 10.5,
    # names of sections are text, also with a dollar sign
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "legend.frameon": False,
    "path.simplify": False,
}
WIDTH = 5.0


class Drawing:
    """One plot; ``svg`` is filled when the block of ``drawing`` ends."""

    def __init__(self, figure: Any) -> None:
        self.figure = figure
        self.axes = figure.add_subplot()
        self.svg = Markup()


@contextmanager
def drawing(name: str, alt: str, height: float, width: float = WIDTH) -> Iterator[Drawing]:
    """Draw one plot.

    Args:
        name: of the figure on the page; its ids begin with it.
        alt: what it shows, for those who do not see it.
        height, width: inches; the page scales it.
    """
    with rc_context(_STYLE), warnings.catch_warnings():
        # a letter that the font lacks is drawn by the browser's fonts
        warnings.simplefilter("ignore")
        made = Drawing(Figure(figsize=(width, height), layout="constrained"))
        yield made
        FigureCanvasSVG(made.figure)
        target = io.StringIO()
        made.figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    made.svg = _inline(target.getvalue(), name, alt)


def _inline(text: str, name: str, alt: str) -> Markup:
    body = text[text.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"<style[^>]*>.*?</style>", "", body, flags=re.DOTALL)
    view = re.search(r'viewBox="([^"]+)"', body)
    inner = body[body.index(">") + 1 :].strip()
    inner = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', inner)
    inner = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", inner)
    inner = re.sub(r'xlink:href="#([^"]+)"', rf'href="#{name}-\1"', inner)
    for colour, variable in _VARIABLES.items():
        inner = re.sub(rf"(fill|stroke): {colour}", rf"\1: {variable}", inner)
    # the page's own font
    inner = re.sub(r"font-family: '[^']*'; ?", "", inner)
    inner = re.sub(r"font: ([\d.]+px) [^;\"]*", r"font-size: \1", inner)
    head = Markup('<svg role="img" aria-label="{}" viewBox="{}">\n').format(
        alt, view.group(1) if view else ""
    )
    # texts inside were escaped by the library that drew them
    return head + Markup(inner)  # noqa: S704
