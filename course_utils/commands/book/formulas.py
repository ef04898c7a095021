"""Formulas become pictures when the book is built, so that no page loads MathJax.

MathJax runs in V8, which `mini-racer` brings in a wheel. Each picture comes with its MathML, which
screen readers read, and its TeX, which course.js puts on the clipboard when one copies it.
"""

import json
import re
from contextlib import contextmanager
from html import escape
from importlib import metadata

from docutils import nodes

from course_utils.errors import BookError

DISTRIBUTION = "sphinx-mathjax-offline"  # only its copy of MathJax 3 is used
NAMES = re.compile(r' (?:data-mml-node|data-c|role|focusable)="[^"]*"')  # nobody asks for them
PARTS = ("adaptors/liteDOM", "input/tex-full", "output/svg", "output/svg/fonts/tex")
# A formula with a mistake stops the build: the packages that would show it in red are left out.
START = f"""
globalThis.MathJax = {{
  loader: {{load: {json.dumps(PARTS)}, require(name) {{ throw Error(`no ${{name}}`); }}}},
  startup: {{typeset: false}},
  svg: {{fontCache: "local"}},
  tex: {{
    packages: {{"[-]": ["noerrors", "noundefined", "require", "autoload"]}},
    formatError(jax, error) {{ throw error; }},
  }},
}};
"""
READY = """
MathJax.startup.defaultReady();
const typeset = (tex, display) => [
  MathJax.startup.adaptor.innerHTML(MathJax.tex2svg(tex, {display})),
  MathJax.tex2mml(tex, {display}),
];
"""


@contextmanager
def typesetter():
    """Gives `typeset(tex, display)` -> HTML. Raises BookError for TeX that MathJax refuses."""
    try:
        from py_mini_racer import JSEvalException, MiniRacer

        files = {str(path): path for path in metadata.files(DISTRIBUTION)}
    except (ImportError, TypeError) as error:
        raise BookError("MathJax is not installed: `pip install -e .[book]`.") from error
    names = [f"{DISTRIBUTION}/static/mathjax/{part}.js" for part in ("startup", "core", *PARTS)]
    with MiniRacer() as engine:  # left open, it would keep Python from ending
        for script in (START, *(files[name].read_text("utf-8") for name in names), READY):
            engine.eval(f"{script};0")  # a script's own value may be one that Python cannot hold

        def typeset(tex, display=False):
            call = f"JSON.stringify(typeset({json.dumps(tex)}, {json.dumps(display)}))"
            try:
                svg, mathml = json.loads(engine.eval(call))
            except JSEvalException as error:
                why = str(error).splitlines()[0]
                raise BookError(f"a formula cannot be set ({why}):\n{tex.strip()}") from error
            kind = ' display="true"' if display else ""
            svg = NAMES.sub("", svg).replace("xlink:href=", "href=")
            svg = re.sub(r"MJX-\d+-", "MJX-", svg)  # one name for a letter: lighten.py
            mathml = " ".join(re.sub(r' id="[^"]*"', "", mathml).split())  # the picture has them
            return (
                f'<mjx-container{kind} data-tex="{escape(tex.strip())}">'
                f"{svg}<mjx-assistive-mml>{mathml}</mjx-assistive-mml></mjx-container>"
            )

        yield typeset


def render_with(app, typeset):
    """Make Sphinx write formulas by `typeset`: a second renderer goes before its own."""

    def inline(writer, node):
        start = writer.starttag(node, "span", "", CLASS="math notranslate nohighlight")
        writer.body.append(f"{start}{typeset(node.astext())}</span>")
        raise nodes.SkipNode

    def block(writer, node):
        start = writer.starttag(node, "div", "", CLASS="math notranslate nohighlight")
        writer.body.append(f"{start}{typeset(node.astext(), display=True)}</div>")
        raise nodes.SkipNode

    app.add_html_math_renderer("svg", (inline, None), (block, None))
