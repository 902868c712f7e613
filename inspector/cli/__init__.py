"""The command line: `inspector --help`. One module per group of commands."""

from __future__ import annotations

import typer

from inspector.cli import (
    audit,
    box,
    build,
    bundle,
    challenge,
    drift,
    engine,
    evaluate,
    feedback,
    history,
    line,
    product,
    recipe,
    simulate,
    teach,
    user,
    what_if,
)
from inspector.cli.common import ERRORS, fail

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="Inspect every part on a conveyor: teach with good parts, calibrate, run, look back.",
)
for group in (teach, evaluate, engine, build, line, box, what_if, drift, simulate):
    app.add_typer(group.app)
app.add_typer(history.app, name="history")
app.add_typer(bundle.app, name="bundle")
app.add_typer(product.app, name="product")
app.add_typer(recipe.app, name="recipe")
app.add_typer(feedback.app, name="feedback")
app.add_typer(challenge.app, name="challenge")
app.add_typer(audit.app, name="audit")
app.add_typer(user.app, name="user")


def main() -> None:
    """Run the command line; an expected error is one line and exit code 1."""
    try:
        app()
    except ERRORS as error:
        fail(str(error))
