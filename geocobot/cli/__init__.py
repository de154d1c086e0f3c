"""The command line: a thin skin over the workflows."""


def main() -> None:
    """Run `geocobot` with the arguments of this process, and exit with its code."""
    from geocobot.cli.app import app

    app(prog_name="geocobot")
