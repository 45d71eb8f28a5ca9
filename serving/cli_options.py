"""What the commands share: exit codes, options with an environment variable, and refusals as messages."""

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from model.errors import MissingExtra, NewsframeError

DONE, FAILED, USAGE, GATE = 0, 1, 2, 3
PATH = click.Path(path_type=Path)
# What a package or a command needs to be installed, where it is not what training needs.
_EXTRAS = {"ray": "ray", "score": "archive", "report": "archive"}


class Examples(click.Command):
    """A command whose epilog, its examples, keeps its lines."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples as they stand."""
        if self.epilog:
            with formatter.section("Examples"):
                for line in self.epilog.strip().splitlines():
                    formatter.write(f"  {line.strip()}\n")


def refusals(command: Callable[..., int]) -> Callable[..., None]:
    """Turn a refusal into one message on stderr and exit code 1, and the returned code into the exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            code = command(*args, **kwargs)
        except NewsframeError as error:
            click.echo(str(error), err=True)
            code = FAILED
        except ModuleNotFoundError as error:
            extra = _EXTRAS.get(str(error.name)) or _EXTRAS.get(command.__name__, "train")
            click.echo(str(MissingExtra(
                f"newsframe: expected the package {error.name}, but found it missing. "
                f"Run `pip install -c requirements/constraints.txt -e '.[{extra}]'` in the project's folder."
            )), err=True)  # fmt: skip
            code = FAILED
        except BrokenPipeError:  # the reader, such as `head`, has seen enough
            sys.stderr.close()
            code = DONE
        sys.exit(code)

    return wrapped


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose the model."""
    command = click.option(
        "--encoder", type=PATH, envvar="NEWSFRAME_ENCODER", show_envvar=True,
        help="Folder of the base encoder, where its package is not installed.",
    )(command)  # fmt: skip
    return click.option(
        "--model", type=PATH, envvar="NEWSFRAME_MODEL", show_envvar=True,
        help="An artifact or trained weights, instead of the shipped model.",
    )(command)  # fmt: skip


def option(*names: str, **settings: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option that an environment variable can set, named in the help."""
    variable = "NEWSFRAME_" + names[0].lstrip("-").replace("-", "_").upper()
    return click.option(*names, **{"envvar": variable, "show_envvar": True, **settings})
