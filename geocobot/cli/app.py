"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from geocobot._version import __version__
from geocobot.cli.check import check
from geocobot.cli.demo import demo
from geocobot.cli.evaluate import evaluate
from geocobot.cli.info import info
from geocobot.cli.models import list_models, show_model
from geocobot.cli.options import command, command_with_options
from geocobot.cli.predict import predict
from geocobot.cli.pretrain import pretrain
from geocobot.cli.train import train
from geocobot.cli.vectorize import vectorize
from geocobot.config import (
    CheckOptions,
    DemoOptions,
    EvaluateOptions,
    PredictOptions,
    PretrainOptions,
    ShowOptions,
    TrainOptions,
    VectorizeOptions,
)

app = typer.Typer(
    help="Label one scene, map the rest.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models = typer.Typer(help="Bases and their weights.", no_args_is_help=True)


def _show_version(asked: bool) -> None:
    """Print the version and leave."""
    if asked:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    _version: Annotated[
        bool,
        typer.Option("--version", help="Print the version.", is_eager=True, callback=_show_version),
    ] = False,
) -> None:
    """Hold what belongs to no command."""


app.command("train", help=train.__doc__)(command_with_options(TrainOptions, train))
app.command("predict", help=predict.__doc__)(command_with_options(PredictOptions, predict))
app.command("vectorize", help=vectorize.__doc__)(command_with_options(VectorizeOptions, vectorize))
app.command("evaluate", help=evaluate.__doc__)(command_with_options(EvaluateOptions, evaluate))
app.command("check", help=check.__doc__)(command_with_options(CheckOptions, check))
app.command("demo", help=demo.__doc__)(command_with_options(DemoOptions, demo))
app.command("info", help=info.__doc__)(command(info))
app.command("pretrain", help=pretrain.__doc__, rich_help_panel="For experts")(
    command_with_options(PretrainOptions, pretrain)
)
models.command("list", help=list_models.__doc__)(command(list_models))
models.command("show", help=show_model.__doc__)(command_with_options(ShowOptions, show_model))
app.add_typer(models, name="models")
