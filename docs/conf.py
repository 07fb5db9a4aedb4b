"""How Sphinx builds these pages: `make docs`. Everything is read from this folder and the package; no network."""

import re
from importlib import metadata

from sphinx.application import Sphinx

project = "lewm-evidence"
author = "the authors of lewm-evidence"
release = metadata.version("lewm-evidence")
html_title = f"lewm-evidence {release}"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_argparse_cli"]
root_doc = "index"
exclude_patterns = ["_build"]
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_sphinx = False

myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_use_ivar = True
python_maximum_signature_line_length = 80

default_role = "code"  # single backticks, as the docstrings have them

# A name of this package in a signature must be on a page. Those of other packages are looked up nowhere: no network.
nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!lewm_evidence).*"), ("py:.*", r".*\._\w+")]
linkcheck_anchors = False


def _sidebar(app: Sphinx, page: str, text: list[str]) -> None:
    """Makes the sidebar from the lists of the front page: a caption for each heading, a page for each link."""
    if page != root_doc:
        return
    trees = []
    for section in text[0].split("\n## ")[1:]:
        caption, _, rest = section.partition("\n")
        pages = re.findall(r"^- \[[^]]*\]\(([\w-]+)\.md\)", rest, re.MULTILINE)
        trees.append("\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *pages, "```"]))
    text[0] += "\n" + "\n\n".join(trees) + "\n"


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _sidebar)
