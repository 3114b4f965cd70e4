"""An SVG image in the making. Hand-made, because matplotlib takes longer to import than an audit.

An audit takes a second, and importing matplotlib alone takes three. Beside that, an image whose
colours are CSS classes follows the page into dark mode and print. ElementTree escapes every text.
"""

from collections.abc import Iterable
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from msgspec import Struct

from colintern.artifacts.printable import printable


class NothingToDraw(Exception):  # noqa: N818 - a state of the evidence, not an error
    """The evidence is there but holds nothing that a figure could show; the message says what."""


class Figure(Struct, frozen=True):
    """One figure. All texts are plain, made printable, and not yet escaped for HTML."""

    title: str
    caption: str
    """What it shows, with its figures: a reader who cannot see the image misses nothing."""
    svg: str
    """A whole `<svg>` element, escaped; its colours are classes of `figures.css`."""


WIDTH: Final = 440.0
"""Units of every image: close to CSS pixels in two columns on a screen or one on a phone."""
CHARACTER_WIDTH: Final = 5.9
"""Mean width of a character of the 11-unit label font, in units; for legends only."""
_MAX_TEXT: Final = 80


class Canvas:
    """An image of fixed width; coordinates are in units from the upper left corner."""

    def __init__(self, height: float, label: str) -> None:
        """Start an image that a screen reader announces as `label`."""
        self.height = height
        attributes = {
            "xmlns": "http://www.w3.org/2000/svg",
            "class": "figure",
            "viewBox": f"0 0 {_number(WIDTH)} {_number(height)}",
            "role": "img",
            "aria-label": printable(label),
        }
        self._root = Element("svg", attributes)

    def text(
        self, x: float, y: float, content: str, css: str = "fig-text", anchor: str = "start"
    ) -> None:
        """Write `content` with its baseline at `y`."""
        attributes = {"class": css, "x": _number(x), "y": _number(y), "text-anchor": anchor}
        SubElement(self._root, "text", attributes).text = printable(content, limit=_MAX_TEXT)

    def path(self, commands: str, css: str) -> None:
        """Draw a path; nothing is drawn for an empty one."""
        if commands:
            SubElement(self._root, "path", {"class": css, "d": commands})

    def polyline(self, points: Iterable[tuple[float, float]], css: str) -> None:
        """Draw a line through `points`."""
        self.path(_through(points), css)

    def polygon(self, points: Iterable[tuple[float, float]], css: str) -> None:
        """Fill the area that `points` enclose."""
        commands = _through(points)
        self.path(f"{commands}z" if commands else "", css)

    def circle(self, x: float, y: float, radius: float, css: str) -> None:
        """Draw a dot."""
        attributes = {"class": css, "cx": _number(x), "cy": _number(y), "r": _number(radius)}
        SubElement(self._root, "circle", attributes)

    def rectangle(self, x: float, y: float, width: float, height: float, css: str) -> None:
        """Fill a rectangle."""
        self.path(rectangle_path(x, y, width, height), css)

    def markup(self) -> str:
        """Return the image as an `<svg>` element."""
        return tostring(self._root, encoding="unicode")


def rectangle_path(x: float, y: float, width: float, height: float) -> str:
    """Return the commands of a rectangle, so that many can be one path."""
    return f"M{_number(x)} {_number(y)}h{_number(width)}v{_number(height)}h{_number(-width)}z"


def line_path(x1: float, y1: float, x2: float, y2: float) -> str:
    """Return the commands of a straight line."""
    return f"M{_number(x1)} {_number(y1)}L{_number(x2)} {_number(y2)}"


def _through(points: Iterable[tuple[float, float]]) -> str:
    joined = "L".join(f"{_number(x)} {_number(y)}" for x, y in points)
    return f"M{joined}" if joined else ""


def _number(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
