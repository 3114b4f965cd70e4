"""What a figure is to a page: an image with its title and what it says in words."""

from msgspec import Struct


class NothingToDraw(Exception):  # noqa: N818 - a state of the evidence, not an error
    """The evidence is there but holds nothing that a figure could show; the message says what."""


class Figure(Struct, frozen=True):
    """One figure. All texts are plain, made printable, and not yet escaped for HTML."""

    title: str
    caption: str
    """What it shows, with its figures: a reader who cannot see the image misses nothing."""
    svg: str
    """A whole `<svg>` element, escaped; its colours are classes of `figures.css`."""
