"""The command line: `minimim COMMAND --option value …`, made from the commands' dataclasses."""

import argparse
import errno
import os
import sys
import typing
import warnings
from dataclasses import fields
from difflib import get_close_matches

from minimim import __version__
from minimim.commands import COMMANDS
from minimim.config import TrainConfig
from minimim.errors import UserError
from minimim.methods import create, kinds, options
from minimim.methods.registry import alternatives
from minimim.prompt import printable


def main(arguments: list[str] | None = None) -> int:
    """Run one command, and return the exit code: 0; 1 when the answer is no; 2 for a mistake in the command; 130 for Ctrl-C; 141 when
    the output is closed early, as by `| head`. A mistake is reported in one sentence, never as a traceback."""
    warnings.showwarning = note
    printable()
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        command = parse(arguments)
        code = int(command.run() or 0)
        sys.stdout.flush()  # a closed pipe or a full disk can still be caught here, but not when Python exits
        return code
    except UserError as error:
        print(f"minimim: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("minimim: stopped", file=sys.stderr)
        return 130
    except OSError as error:
        if error.errno not in (errno.EPIPE, errno.ENOSPC):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes the rest when it exits
        if error.errno == errno.EPIPE:
            return 141
        print(f"minimim: {error}: free some space, or let the output go elsewhere", file=sys.stderr)
        return 2


class Parser(argparse.ArgumentParser):
    """A parser that raises a UserError, so that a wrong option is reported like every other mistake."""

    def error(self, message: str):
        raise UserError(f"{message}; see {self.prog} --help")


def note(message, category, *_) -> None:
    """Print a warning as one line."""
    print(f"note: {message}", file=sys.stderr)


def parse(arguments: list[str]):
    """The command that the arguments ask for, with its options filled in."""
    parser = Parser(
        prog="minimim",
        description="Masked Image Modeling, step by step: pretrain an encoder without labels, and find out what it has learnt.",
    )
    parser.add_argument("--version", action="version", version=__version__)
    parts = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, command in COMMANDS.items():
        about = " ".join(command.__doc__.split())
        part = parts.add_parser(name, help=about.partition(". ")[0].rstrip("."), description=about)
        add_fields(part, command)
        if arguments[:1] == [name]:
            add_recipe(part, command, wanted_method(arguments))
    known, rest = parser.parse_known_args(arguments)
    given = vars(known)
    if rest:
        raise unknown_option(rest[0], parts.choices[given["command"]])
    return build(COMMANDS[given.pop("command")], given)


def unknown_option(word: str, part: argparse.ArgumentParser) -> UserError:
    """The error for a word that a command does not know, with the nearest of its options."""
    near = get_close_matches(word, part._option_string_actions, n=1, cutoff=0.75)
    hint = f"did you mean {near[0]}? See" if near else "see"
    return UserError(f"unknown option {word}: {hint} {part.prog} --help")


def build(command, given: dict):
    """A command from flat options: those of the recipe and of the training are collected in dicts of their own. These hold only what
    was given, so that each method keeps its own defaults."""
    values = {f.name: given.pop(f.name) for f in fields(command) if f.name in given}
    if "train" in {f.name for f in fields(command)}:
        tuned = {f.name: given.pop(f.name) for f in fields(config_type(command))}
        values["train"] = {name: value for name, value in tuned.items() if value is not None}
    if "options" in {f.name for f in fields(command)}:
        values["options"] = {name: value for name, value in given.items() if value is not None}
    return command(**values)


def add_fields(parser: argparse.ArgumentParser, cls, *, defaults=None) -> None:
    """An option for each field of a dataclass that has a help text.

    defaults: an object whose values are shown in the help, while the options themselves stay None when not given.
    """
    for field in fields(cls):
        if field.metadata.get("positional"):
            many = {"nargs": "+"} if typing.get_origin(field.type) is tuple else {}
            parser.add_argument(field.name, help=field.metadata["help"], metavar=field.name.upper(), **many)
        elif "help" in field.metadata:
            default = getattr(defaults, field.name) if defaults else field.default
            text = field.metadata["help"] + (f" ({shown(default)})" if default not in (None, False, "") else "")
            add_one(parser, field.name, field.type, None if defaults else default, text)


def add_recipe(parser: argparse.ArgumentParser, command, method: str) -> None:
    """The options that depend on the method: those of training and those of its recipe, with the method's own defaults."""
    names = {f.name for f in fields(command)}
    if "train" in names:
        kind = config_type(command)
        recipe = kind is TrainConfig
        group = parser.add_argument_group("training, by default " + (f"as {method} needs it" if recipe else "as below, or as the preset says"))
        add_fields(group, kind, defaults=create(method).defaults if recipe else kind())
    if "options" in names:
        add_options(parser, method)


def config_type(command) -> type[TrainConfig]:
    """The dataclass of a command's training options: its own `config_type`, or else TrainConfig."""
    return getattr(command, "config_type", TrainConfig)


def add_one(parser, name: str, kind, default, text: str) -> None:
    """One option by its type: a switch for bool, several values for tuples, one value for the rest. A name that would be a
    keyword of Python, such as `from_`, ends in an underscore that the option leaves out."""
    shown_name = name.rstrip("_")
    flag = "--" + shown_name.replace("_", "-")
    allowed = [k for k in alternatives(kind) if k is not type(None)]
    more: dict = {"default": default, "help": text.replace("%", "%%"), "dest": name}
    if bool in allowed:
        more |= {"action": "store_true" if default is False else argparse.BooleanOptionalAction}
    elif any(typing.get_origin(k) is tuple for k in allowed):
        values = next(typing.get_args(k) for k in allowed if typing.get_origin(k) is tuple)
        more |= {"type": values[0], "nargs": "+", "metavar": shown_name.upper(), "action": Several}
    elif any(typing.get_origin(k) is typing.Literal for k in allowed):
        choices = next(typing.get_args(k) for k in allowed if typing.get_origin(k) is typing.Literal)
        more |= {"choices": choices, "metavar": "|".join(choices)}
    else:
        more |= {"type": allowed[0], "metavar": shown_name.upper()}
    parser.add_argument(flag, **more)


class Several(argparse.Action):
    """One value stays one, two become a tuple, and more are refused."""

    def __call__(self, parser, namespace, values, option_string=None):
        if len(values) > 2:
            raise argparse.ArgumentError(self, f"takes two values at most, not {len(values)}")
        setattr(namespace, self.dest, values[0] if len(values) == 1 else tuple(values))


def wanted_method(arguments: list[str]) -> str:
    """The method whose options are needed: the one after --method, or else mae."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    finder.add_argument("--method", default="mae")
    return finder.parse_known_args(arguments)[0].method


def add_options(parser: argparse.ArgumentParser, method: str) -> None:
    """The options of a method's recipe, with its defaults. Raises UserError for an unknown method."""
    group = parser.add_argument_group(f"the recipe of {method} (other methods have others: --method NAME --help)")
    for name, kind in kinds(method).items():
        default = options(method)[name]
        text = "default: by size" if default is None else f"default: {shown(default)}"
        add_one(group, name, kind, None, text)


def shown(value) -> str:
    """A default as it would be typed."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
