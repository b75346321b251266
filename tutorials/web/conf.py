"""Settings of the web book, which Sphinx reads; tutorials/build.py runs it."""

import re
import shlex
from pathlib import Path

from docutils import nodes
from sphinx.directives.code import CodeBlock
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective

from tutorials.run import LIBRARY
from tutorials.web.formulas import to_mathml
from vitnp import load
from vitnp.analysis.explorer import page
from vitnp.errors import Error

project = "A Vision Transformer by hand"
language = "en"
extensions = ["myst_parser"]

# GitHub's Markdown, and no more: a line that begins with % or (x)= is text there
myst_enable_extensions = ["dollarmath"]
myst_dmath_allow_labels = False
myst_disable_syntax = ["myst_line_comment", "myst_block_break", "myst_target", "myst_role"]
myst_fence_as_directive = ["python", "math", "explore"]
myst_heading_anchors = 3

html_theme = "furo"
html_title = project
html_static_path = [str(Path(__file__).parent / "static")]
html_favicon = f"{html_static_path[0]}/icon.svg"
html_css_files = ["book.css"]
html_js_files = ["book.js"]
html_math_renderer = "mathml"
html_copy_source = False
html_use_index = False
html_show_copyright = False
html_show_sphinx = False
pygments_style = "a11y-light"
pygments_dark_style = "a11y-dark"


class PythonBlock(CodeBlock):
    """A block of Python; one that names a file and a function is a quotation, and says so."""

    option_spec = None
    final_argument_whitespace = True

    def run(self):
        """Return the block, with a link to the file that it quotes."""
        if self.arguments:
            file, _, function = self.arguments[0].partition(" ")
            self.options = {"caption": f"From [`{file}`](/{file}.md), `{function}`"}
        self.arguments = ["python"]
        return super().run()


class Explore(SphinxDirective):
    """The command that writes a page to explore a network, and in the web book the page itself."""

    has_content = True

    def run(self):
        """Run the command, and return a frame with its page and a caption with the command."""
        line = self.content[0]
        words = shlex.split(line.removeprefix("python -m vitnp.visualize explore "))
        checkpoint, *pictures = [word for word in words if not word.endswith(".html")
                                 and word != "--out"]
        name = Path(words[-1]).name
        page.write(load(checkpoint), [LIBRARY / picture for picture in pictures],
                   Path(self.env.app.outdir) / name, f"the network {checkpoint}")
        frame = (f'<iframe class="explore" src="{name}" loading="lazy" title="Where the network '
                 f'looks"></iframe><p><a href="{name}">On a page of its own</a></p>')
        return [nodes.literal_block(line, line), nodes.raw("", frame, format="html")]


def formula(tag, display):
    """Return what writes a formula into a page, inside an element that can scroll."""
    def visit(translator, node):
        try:
            mathml = to_mathml(node.astext(), display)
            marks = node.get("marks", "")
            translator.body.append(f'<{tag} class="math">{mathml}{marks}</{tag}>')
        except Error as error:
            logging.getLogger(__name__).warning("%s", error, location=node)
        raise nodes.SkipNode
    return visit, None


def keep_marks(app, doctree, page):
    """Move the marks after a formula into its element, so that no line begins with a full stop."""
    for node in list(doctree.findall(nodes.math)):
        following = node.next_node(descend=False, siblings=True)
        if isinstance(following, nodes.Text):
            marks = re.match(r"[).,:;!?’-]*", following)[0]
            node["marks"] = marks
            following.parent.replace(following, nodes.Text(following[len(marks):]))


def setup(app):
    """Tell Sphinx about our formulas and quotations."""
    app.connect("doctree-resolved", keep_marks)
    app.add_html_math_renderer("mathml", inline_renderers=formula("span", "inline"),
                               block_renderers=formula("div", "block"))
    app.add_directive("python", PythonBlock)
    app.add_directive("explore", Explore)
