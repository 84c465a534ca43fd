"""Reports of measurements, one format a file. Each takes a Report and returns text.

markdown.py  a job summary or a comment    junit.py        what CI systems show as tests
html.py      one page that needs nothing   interchange.py  what other dashboards read
plots.py     the page's plots
"""

from __future__ import annotations

from collections.abc import Callable

from edgedeploy.core.results.report import Report

from .html import render_html
from .interchange import render_bencher, render_github_action_benchmark, render_otava
from .junit import render_junit
from .markdown import render_markdown

FORMATS: dict[str, Callable[[Report], str]] = {
    "markdown": render_markdown,
    "junit": render_junit,
    "html": render_html,
    "github-action-benchmark": render_github_action_benchmark,
    "bencher": render_bencher,
    "otava": render_otava,
}

__all__ = ["FORMATS"]
