"""Equations as MathML, which browsers draw by themselves: no script, no font and no other host is needed. docutils does the work.

What docutils does not know of the LaTeX that JupyterLab draws is put into words that it knows.
"""

import re

from docutils import nodes
from docutils.utils.math import MathError, latex2mathml

SPELT = {
    r"\\[bB]igg?[lr]?(?![a-zA-Z])": "",  # MathML's brackets grow by themselves
    r"\\dots(?![a-zA-Z])": r"\\ldots",
    r"\\mathrel\{\+\}=": "+=",
    r"\\(?:text|display)style(?![a-zA-Z])": "",
    "½": r"\\tfrac{1}{2}",
    "¼": r"\\tfrac{1}{4}",
}


def mathml(equation: str, block: bool = False) -> str:
    """LaTeX as a <math> element. Raises MathError for what it cannot say."""
    for pattern, instead in SPELT.items():
        equation = re.sub(pattern, instead, equation)
    return latex2mathml.tex2mathml(equation, as_block=block).strip()


def visit(writer, node: nodes.Element, block: bool) -> None:
    """Write an equation. One that cannot be said is a warning, which `make book` takes for an error."""
    from sphinx.util import logging

    try:
        made = mathml(node.astext(), block)
    except MathError as error:
        logging.getLogger(__name__).warning("%s in the equation %s", error, node.astext(), location=node)
        made = f"<code>{writer.encode(node.astext())}</code>"
    writer.body.append(f'<div class="equation">{made}</div>' if block else made)
    raise nodes.SkipNode


def setup(app) -> dict:
    """For Sphinx."""
    app.add_html_math_renderer(
        "mathml", (lambda writer, node: visit(writer, node, False), None), (lambda writer, node: visit(writer, node, True), None)
    )
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True, "parallel_write_safe": True}
