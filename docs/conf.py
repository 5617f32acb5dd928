"""How the documentation is built."""

from bijlighar import __version__

project = "Bijlighar"
author = "the Bijlighar contributors"
copyright = "2026, the Bijlighar contributors"
release = __version__
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build", "requirements"]
html_theme = "furo"
html_title = "Bijlighar बिजलीघर"
html_show_sourcelink = False
html_show_sphinx = False
suppress_warnings = ["myst.xref_missing", "misc.highlighting_failure"]
