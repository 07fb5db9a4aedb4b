"""Figures for pages: places are shortened, words are not, and colours are the page's."""

import re

from lewm_evidence.render.figures import COLOUR, new_figure, plot_style, to_svg


def draw(name: str = "figure") -> str:
    """Returns a small figure with a title that could be markup."""
    with plot_style():
        figure, axis = new_figure(4, 2)
        axis.plot([0, 1 / 3], [0.001, 0.0025], color=COLOUR["lewm"])
        axis.set(title="<b>0.00125</b>", yticks=[0.001, 0.0025])
    return to_svg(figure, name, 'says "so"')


def test_words_are_kept_and_places_are_short() -> None:
    """A tick of 0.0025 stays one; no coordinate has more than two decimals."""
    svg = draw()
    assert ">0.0025<" in svg and "&lt;b&gt;0.00125&lt;/b&gt;" in svg
    assert not re.search(r'(?:d|points|transform)="[^"]*\.\d{3}', svg)
    assert 'aria-label="says &quot;so&quot;"' in svg


def test_colours_are_the_pages() -> None:
    """Stand-ins are gone, and there is no style that would hold for the whole page."""
    svg = draw()
    assert "var(--lewm)" in svg and not re.search(r"#([0-9a-f]{2})fe\1", svg)
    assert "<style" not in svg and "<metadata" not in svg


def test_ids_are_the_figures_own() -> None:
    """Two figures on one page share no id, and the same figure is the same text."""
    found = [set(re.findall(r'id="([^"]+)"', draw(name))) for name in ("one", "two")]
    assert found[0] and not found[0] & found[1]
    assert draw() == draw()
