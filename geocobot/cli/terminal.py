"""What a command does with its terminal: notices, progress, results, errors, exit codes."""

from __future__ import annotations

import contextlib
import json
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import typer

from geocobot.cli.results import as_json, as_text
from geocobot.errors import ConfigError, GeocobotError
from geocobot.progress import Progress, SilentProgress
from geocobot.secrecy import without_secrets

if TYPE_CHECKING:
    from rich.console import Console

EXIT_BUG = 1
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143


@dataclass(frozen=True)
class Terminal:
    """How a command talks.

    Attributes:
        json: the result goes to standard output as JSON, and progress, notices and errors to
            standard error as a JSON object per line.
        verbose: notices for the curious and the warnings of libraries are shown, too.
        quiet: only warnings are shown, and no progress.
        debug: errors come with their traceback.
    """

    json: bool = False
    verbose: bool = False
    quiet: bool = False
    debug: bool = False


def perform(job: Callable[[Progress], Any], terminal: Terminal) -> None:
    """Do a job and show its result, if any; standard output carries it and nothing else.

    Raises:
        typer.Exit: with code 2 for an error that the user can mend, 1 for a bug, 130 after
            Ctrl-C and 143 after SIGTERM; the error has been shown. With the code of a result
            that has one, after it was shown.
    """
    from rich.console import Console

    console = Console(stderr=True, highlight=False, emoji=False)
    voice = _Events(console) if terminal.json else _Voice(console)
    termination = _Termination()
    try:
        with (
            termination.heeded(),
            _notices(voice, terminal),
            contextlib.redirect_stdout(sys.stderr),
        ):
            _check(terminal)
            result = job(_progress(console, terminal))
    except (Exception, KeyboardInterrupt, SystemExit) as error:
        if termination.asked:
            voice.say("terminated", "Terminated.")
            raise typer.Exit(EXIT_TERMINATED) from None
        raise typer.Exit(_show(voice, error, terminal)) from None
    if result is not None:
        _print(without_secrets(as_json(result) if terminal.json else as_text(result)), voice)
    exit_code = getattr(result, "exit_code", 0)
    if exit_code:
        raise typer.Exit(exit_code)


def _print(text: str, voice: _Voice) -> None:
    """Write a result; where the output's encoding lacks a letter, letters are escaped as in JSON.

    Raises:
        typer.Exit: it cannot be written, which has been said.
    """
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = "".join(c if c.isascii() else json.dumps(c)[1:-1] for c in text)
    try:
        typer.echo(text)
    except BrokenPipeError:  # whoever reads has seen enough
        raise
    except OSError as error:
        said = error.strerror or type(error).__name__
        voice.say("error", f"The work is done, but its result cannot be printed ({said}).")
        raise typer.Exit(EXIT_USER_ERROR) from None


class _Termination:
    """Makes SIGTERM, with which schedulers and `timeout` end a process, an interrupt like Ctrl-C.

    Left alone, it ends Python on the spot: half-written files stay, and nobody is told of
    --resume.

    Attributes:
        asked: whether the signal has come. Whatever is raised afterwards is its consequence:
            Lightning makes a plain KeyboardInterrupt of it, and a scheduler may have ended the
            loaders' workers, too.
    """

    def __init__(self) -> None:
        self.asked = False

    @contextlib.contextmanager
    def heeded(self) -> Iterator[None]:
        """Heed the signal in the `with` block, unless somebody else handles or ignores it."""
        alone = threading.current_thread() is threading.main_thread()
        if not alone or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            yield
            return
        signal.signal(signal.SIGTERM, self._interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

    def _interrupt(self, *_: object) -> None:
        """Interrupt once; a second signal must not disturb the tidying up."""
        if not self.asked:
            self.asked = True
            raise KeyboardInterrupt


def _show(voice: _Voice, error: BaseException, terminal: Terminal) -> int:
    """Show what ended a job, and choose the exit code.

    Raises:
        SystemExit: the job has left by itself; typer's own Exit and Abort pass, too.
    """
    if isinstance(error, SystemExit | typer.Exit | typer.Abort):
        raise error
    if isinstance(error, KeyboardInterrupt):
        voice.say("interrupted", "Interrupted.")
        return EXIT_INTERRUPTED
    details = traceback.format_exc().rstrip() if terminal.debug else None
    if isinstance(error, GeocobotError):
        voice.say("error", str(error), details)
        return EXIT_USER_ERROR
    voice.say("error", _bug(error), details)
    return EXIT_BUG


def _check(terminal: Terminal) -> None:
    """Refuse flags that contradict each other."""
    if terminal.verbose and terminal.quiet:
        raise ConfigError(
            "The command line",
            "asks for --verbose and --quiet",
            "A command says either more or less",
            "Leave one of them out",
        )


def _progress(console: Console, terminal: Terminal) -> Progress:
    """Choose how work under way is shown."""
    from geocobot.cli.progress import BarProgress, EventProgress, LineProgress

    if terminal.quiet:
        return SilentProgress()
    if terminal.json:
        return EventProgress(console)
    return BarProgress(console) if console.is_terminal else LineProgress(console)


@contextlib.contextmanager
def _notices(voice: _Voice, terminal: Terminal) -> Iterator[None]:
    """Show geocobot's notices, and those of libraries only on demand."""
    ours, root = logging.getLogger("geocobot"), logging.getLogger()
    handler = _NoticeHandler(voice)
    # With a handler at the root, Python's last resort no longer prints what libraries log.
    others = _NoticeHandler(voice) if terminal.verbose else logging.NullHandler()
    before = ours.level, ours.propagate
    ours.setLevel(_level(terminal))
    ours.propagate = False
    ours.addHandler(handler)
    root.addHandler(others)
    logging.captureWarnings(capture=True)
    try:
        yield
    finally:
        logging.captureWarnings(capture=False)
        root.removeHandler(others)
        ours.removeHandler(handler)
        ours.level, ours.propagate = before


def _level(terminal: Terminal) -> int:
    """The least important notice that is shown."""
    if terminal.quiet:
        return logging.WARNING
    return logging.DEBUG if terminal.verbose else logging.INFO


class _Voice:
    """Writes lines for people.

    Args:
        console: where to write.
    """

    _LOOKS: ClassVar = {
        "warning": ("Warning: ", "yellow"),
        "error": ("Error: ", "red"),
        "interrupted": ("", "bold"),
        "terminated": ("", "bold"),
    }

    def __init__(self, console: Console) -> None:
        self._console = console

    def say(self, event: str, text: str, details: str | None = None) -> None:
        """Write what has happened, after the details.

        Args:
            event: notice, warning, error, interrupted or terminated.
            text: one paragraph.
            details: lines of a traceback.
        """
        label, style = self._LOOKS.get(event, ("", ""))
        if details is not None:
            self._write(details)
        self._write(f"{label}{text}", style)

    def _write(self, text: str, style: str = "") -> None:
        """Write a line without wrapping, so that paths in it can be copied."""
        self._console.print(without_secrets(text), style=style, markup=False, soft_wrap=True)


class _Events(_Voice):
    """Writes JSON objects for programs, one per line."""

    def say(self, event: str, text: str, details: str | None = None) -> None:
        """Write what has happened."""
        told = {"event": event, "text": text}
        if details is not None:
            told["traceback"] = details
        self._write(json.dumps(told, ensure_ascii=False))


class _NoticeHandler(logging.Handler):
    """Shows a notice as a line of its own, above the progress bars."""

    def __init__(self, voice: _Voice) -> None:
        super().__init__()
        self._voice = voice

    def emit(self, record: logging.LogRecord) -> None:
        """Show one notice."""
        event = "warning" if record.levelno >= logging.WARNING else "notice"
        self._voice.say(event, record.getMessage())


def _bug(error: BaseException) -> str:
    """Ask for a report of an error that nobody foresaw."""
    return (
        f"geocobot met something it did not expect ({type(error).__name__}: {error}). This is a "
        f"bug, or something geocobot should explain better. Please report it with what "
        f"--debug shows and with the output of: geocobot info"
    )
