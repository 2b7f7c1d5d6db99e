"""Sphinx's settings for the web edition: `make book` gathers the pages into runs/book/source (book/gather.py) and builds them.

The repository's address stands in one place, pyproject.toml's [project.urls]; without it there are no launch buttons.
"""

import sys
from pathlib import Path

TOP = Path(__file__).parent.parent
sys.path.append(str(TOP))

from book.links import repository

project = "minimim"
author = "the minimim authors"
html_title = "minimim"
language = "en"
extensions = ["myst_nb", "sphinx_copybutton", "book.equations", "book.icons"]
source_suffix = {".md": "myst-nb", ".ipynb": "myst-nb"}

nb_execution_mode = "off"  # the lessons hold the outputs of their last run
nb_render_markdown_format = "myst"  # book/notebooks.py has made figures of their pictures
nb_merge_streams = True
nb_ipywidgets_js = {}  # a widget needs Python; nothing is asked of another host
nb_output_stderr = "remove-warn"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_dmath_allow_labels = False
copybutton_exclude = ".linenos, .gp, .go"
suppress_warnings = ["ref.python"]  # two types of one name, in two files: the name is then no link
python_maximum_signature_line_length = 88
toc_object_entries = False

html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_css_files = ["book.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_search_summary = False  # for its lines the theme would load every page that was found, 8 MB for a common word
html_context = {"default_mode": "auto"}
html_theme_options = {
    "use_download_button": False,
    "navbar_persistent": [],
    "search_as_you_type": False,  # book/_templates/layout.html leaves the index out
    "show_navbar_depth": 1,
    "show_toc_level": 2,
    "navigation_with_keys": True,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
address = repository()
if address:
    html_theme_options |= {
        "repository_url": address,
        "repository_branch": "main",
        "use_repository_button": True,
        "launch_buttons": {
            "notebook_interface": "jupyterlab",
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com" if "github.com" in address else "",
        },
    }
