"""Pages about the library, from its docstrings and signatures: one for each folder of minimim/, and one for the files beside them.

Nothing is imported: the files are read. What checks the problem sets is left out, because it tells their answers.
"""

import ast
import re
from pathlib import Path

from book.docstrings import markdown

LIBRARY = Path(__file__).parent.parent / "minimim"
LEFT_OUT = re.compile(r"(feedback|show/drawings)/(ps\d|build)|feedback/questions|__main__")
SINGLE = "the files beside the folders"


def files() -> list[Path]:
    """The files whose docstrings are shown, in order."""
    found = sorted(LIBRARY.rglob("*.py"))
    return [path for path in found if not LEFT_OUT.search(path.relative_to(LIBRARY).with_suffix("").as_posix())]


def pages() -> dict[str, str]:
    """Path → Markdown of every page."""
    folders: dict[str, list[Path]] = {}
    for path in files():
        inside = path.relative_to(LIBRARY)
        folders.setdefault(inside.parts[0] if len(inside.parts) > 1 else "files", []).append(path)
    made = {f"api/{folder}.md": page(folder, paths) for folder, paths in folders.items()}
    rows = "".join(f"| [{title(folder)}]({folder}.md) | {summary(paths[0]) if folder != 'files' else SINGLE} |\n" for folder, paths in folders.items())
    entries = "\n".join(folders)
    head = "# The library\n\nEvery function and class with a docstring, from the source.\n\n| part | what it is |\n| --- | --- |\n"
    made["api/index.md"] = f"{head}{rows}\n```{{toctree}}\n:hidden:\n\n{entries}\n```\n"
    return made


def title(folder: str) -> str:
    """`minimim.masking`, or `minimim` for the files beside the folders."""
    return "`minimim`" if folder == "files" else f"`minimim.{folder}`"


def module_of(path: Path) -> str:
    """The dotted name of a file."""
    parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def summary(path: Path) -> str:
    """The first paragraph of a file's docstring."""
    return markdown((ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").split("\n\n")[0]).replace("|", "\\|")


def page(folder: str, paths: list[Path]) -> str:
    """A folder's page: a section for each file that has something to show."""
    text = f"# {title(folder)}\n\n" if folder != "files" else "# `minimim`, the files beside the folders\n\n"
    for path in paths:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        about, things = ast.get_docstring(tree), [thing for thing in map(shown, tree.body) if thing]
        whole = path.name == "__init__.py" and folder == path.parent.name
        if not whole and not things and (path.name == "__init__.py" or not about):
            continue
        heading = "" if whole else f"## `{module_of(path)}`\n\n"
        text += f"{heading}```{{py:{module_or_current(path)}}} {module_of(path)}\n```\n\n{markdown(about)}\n\n" + "\n\n".join(things) + "\n\n"
    return text


def module_or_current(path: Path) -> str:
    """The directive for a file: a file with the name of a function of its folder, as feedback/check.py, is no entry of the index itself."""
    beside = path.parent / "__init__.py"
    functions = {each.name for each in ast.parse(beside.read_text(encoding="utf-8")).body if isinstance(each, ast.FunctionDef)}
    return "currentmodule" if path.stem in functions else "module"


def shown(node: ast.stmt, inside: str = "") -> str:
    """A public function or class with a docstring, as a directive of Sphinx's Python domain; empty for anything else."""
    if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_") or not ast.get_docstring(node):
        return ""
    if isinstance(node, ast.ClassDef):
        names, given = taken_by_class(node)
        methods = [text for text in (shown(each, node.name) for each in node.body) if text]
        body = "\n\n".join([markdown(ast.get_docstring(node), names), *methods])
        return directive("class", f"{node.name}{given}", body)
    decorators = {ast.unparse(each).split(".")[-1] for each in node.decorator_list}
    names = [each.arg for each in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]]
    body = markdown(ast.get_docstring(node), [name for name in names if name not in ("self", "cls")])
    if inside and decorators & {"property", "cached_property"}:
        return directive("property", node.name, body)
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    arguments = without_self(ast.unparse(node.args)) if inside and "staticmethod" not in decorators else ast.unparse(node.args)
    kind = "function" if not inside else "classmethod" if "classmethod" in decorators else "method"
    return directive(kind, f"{node.name}({arguments}){returns}", body)


def without_self(arguments: str) -> str:
    """The arguments of a method as its caller gives them."""
    return re.sub(r"^(self|cls)(, )?", "", arguments)


def taken_by_class(node: ast.ClassDef) -> tuple[list[str], str]:
    """The names that a class takes and holds, and the arguments as they are written: of __init__, or the fields of a dataclass."""
    for each in node.body:
        if isinstance(each, ast.FunctionDef) and each.name == "__init__":
            arguments = without_self(ast.unparse(each.args))
            return [arg.arg for arg in [*each.args.args[1:], *each.args.kwonlyargs]], f"({arguments})"
    fields = [each for each in node.body if isinstance(each, ast.AnnAssign)]
    names = [ast.unparse(each.target) for each in fields]
    if not any("dataclass" in ast.unparse(each) for each in node.decorator_list):
        return names, ""
    told = [f"{ast.unparse(each.target)}: {ast.unparse(each.annotation)}" + (f" = {ast.unparse(each.value)}" if each.value else "") for each in fields]
    return names, f"({', '.join(told)})"


def directive(kind: str, signature: str, body: str) -> str:
    """A directive of the Python domain, with a fence that is longer than those within."""
    inner = max((len(fence) for fence in re.findall(r"^`{3,}", body, re.MULTILINE)), default=2)
    fence = "`" * (inner + 1)
    return f"{fence}{{py:{kind}}} {signature}\n\n{body}\n{fence}"
