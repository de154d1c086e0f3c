from __future__ import annotations

import io
import json
import logging
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from geocobot.cli.options import command
from geocobot.cli.terminal import Terminal, perform
from geocobot.errors import CrsError
from geocobot.io.output import new_file
from geocobot.progress import Progress


@dataclass(frozen=True)
class Outcome:
    path: Path
    iou: float


def invoke(job: Callable[[Progress], Any], *arguments: str) -> Any:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(command(job))
    return CliRunner().invoke(app, list(arguments))


def fail_by_user(progress: Progress) -> None:
    raise CrsError("roads.shp", "has no CRS", "geocobot needs one", "Pass --labels-crs")


def fail_by_bug(progress: Progress) -> None:
    raise ZeroDivisionError("division by zero")


def be_interrupted(progress: Progress) -> None:
    raise KeyboardInterrupt


def talk(progress: Progress) -> Outcome:
    log = logging.getLogger("geocobot.io")
    log.debug("a detail")
    log.info("a notice with [brackets]")
    log.warning("a worry")
    logging.getLogger("elsewhere").warning("chatter")
    warnings.warn("old function", DeprecationWarning, stacklevel=1)
    sys.stdout.write("a library prints\n")
    with progress.task("Working", 2) as task:
        task.advance(2)
    return Outcome(Path("out.gpkg"), 0.5)


def test_a_users_error_is_one_paragraph() -> None:
    result = invoke(fail_by_user)
    assert result.exit_code == 2
    assert result.stderr == (
        "Error: roads.shp has no CRS. geocobot needs one. Pass --labels-crs.\n"
    )
    assert result.stdout == ""


def test_debug_shows_the_traceback_of_a_users_error() -> None:
    result = invoke(fail_by_user, "--debug")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr
    assert "in fail_by_user" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("Error: roads.shp")


def test_a_bug_asks_for_a_report() -> None:
    result = invoke(fail_by_bug)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "ZeroDivisionError: division by zero" in result.stderr
    assert "geocobot info" in result.stderr
    assert "in fail_by_bug" in invoke(fail_by_bug, "--debug").stderr


def test_an_interrupt_is_one_line() -> None:
    result = invoke(be_interrupted)
    assert (result.exit_code, result.stderr, result.stdout) == (130, "Interrupted.\n", "")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM to catch")
class TestSigterm:
    def terminate(self, progress: Progress) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)

    def test_is_one_line_and_a_code_of_its_own(self) -> None:
        result = invoke(self.terminate)
        assert (result.exit_code, result.stderr, result.stdout) == (143, "Terminated.\n", "")
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL

    def test_leaves_no_file_behind(self, tmp_path: Path) -> None:
        def write(progress: Progress) -> None:
            with new_file(tmp_path / "map.gpkg") as unfinished:
                unfinished.write_text("half")
                self.terminate(progress)

        assert invoke(write).exit_code == 143
        assert not list(tmp_path.iterdir())

    def test_does_not_disturb_the_tidying_up_when_it_comes_twice(self) -> None:
        tidied = []

        def tidy(progress: Progress) -> None:
            try:
                self.terminate(progress)
            finally:
                os.kill(os.getpid(), signal.SIGTERM)
                tidied.append(True)

        assert invoke(tidy).exit_code == 143
        assert tidied

    @pytest.mark.parametrize("consequence", [RuntimeError("a worker was killed"), SystemExit(0)])
    def test_explains_what_is_raised_after_it(self, consequence: BaseException) -> None:
        def fall(progress: Progress) -> None:
            try:
                self.terminate(progress)
            except KeyboardInterrupt:
                raise consequence from None

        result = invoke(fall)
        assert (result.exit_code, result.stderr) == (143, "Terminated.\n")

    def test_stays_with_whoever_handles_it_already(self) -> None:
        heard: list[int] = []
        before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
        try:
            result = invoke(lambda _: os.kill(os.getpid(), signal.SIGTERM))
        finally:
            signal.signal(signal.SIGTERM, before)
        assert (result.exit_code, heard) == (0, [signal.SIGTERM])

    def test_is_left_alone_outside_the_main_thread(self) -> None:
        codes: list[int] = []
        thread = threading.Thread(target=lambda: codes.append(invoke(lambda _: None).exit_code))
        thread.start()
        thread.join()
        assert codes == [0]


def test_a_job_may_leave_by_itself() -> None:
    def leave(progress: Progress) -> None:
        raise SystemExit(7)

    result = invoke(leave)
    assert (result.exit_code, result.stderr) == (7, "")


@pytest.mark.filterwarnings("default:old function:DeprecationWarning")
def test_notices_are_shown_and_chatter_is_not() -> None:
    result = invoke(talk)
    assert "a notice with [brackets]\n" in result.stderr
    assert "Warning: a worry\n" in result.stderr
    assert "Working: done" in result.stderr
    for unwanted in ("a detail", "chatter", "old function"):
        assert unwanted not in result.stderr


@pytest.mark.filterwarnings("default:old function:DeprecationWarning")
def test_verbose_shows_everything() -> None:
    result = invoke(talk, "-v")
    for wanted in ("a detail", "a notice", "a worry", "chatter", "old function"):
        assert wanted in result.stderr


@pytest.mark.filterwarnings("default:old function:DeprecationWarning")
def test_quiet_shows_only_warnings() -> None:
    result = invoke(talk, "-q")
    assert result.stderr == "Warning: a worry\na library prints\n"


def test_verbose_and_quiet_contradict_each_other() -> None:
    result = invoke(talk, "-v", "-q")
    assert result.exit_code == 2
    assert "--verbose and --quiet" in result.stderr


@pytest.mark.filterwarnings("default:old function:DeprecationWarning")
def test_json_is_alone_on_standard_output() -> None:
    result = invoke(talk, "--json")
    assert json.loads(result.stdout) == {"path": "out.gpkg", "iou": 0.5}
    assert "a library prints" in result.stderr


@pytest.mark.filterwarnings("default:old function:DeprecationWarning")
def test_with_json_notices_are_events_like_progress() -> None:
    lines = invoke(talk, "--json").stderr.splitlines()
    events = [json.loads(line) for line in lines if line != "a library prints"]
    assert [e["event"] for e in events] == ["notice", "warning", "begin", "end"]
    assert events[0]["text"] == "a notice with [brackets]"
    assert events[1]["text"] == "a worry"


@pytest.mark.parametrize(
    ("job", "event", "said"),
    [
        (fail_by_user, "error", "roads.shp has no CRS. "),
        (fail_by_bug, "error", "geocobot met something it did not expect"),
        (be_interrupted, "interrupted", "Interrupted."),
    ],
)
def test_with_json_what_ends_a_job_is_an_event(
    job: Callable[[Progress], Any], event: str, said: str
) -> None:
    result = invoke(job, "--json", "--debug")
    told = json.loads(result.stderr)
    assert told["event"] == event
    assert told["text"].startswith(said)
    assert ("Traceback" in told.get("traceback", "")) == (event == "error")
    assert result.stdout == ""


def test_what_the_output_cannot_spell_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="cp1252"))
    perform(lambda _: Outcome(Path("дом😀.gpkg"), 0.5), Terminal(json=True))
    sys.stdout.flush()
    assert json.loads(written.getvalue()) == {"path": "дом😀.gpkg", "iou": 0.5}


def test_a_result_that_cannot_be_printed_is_told_of(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def echo(_: str) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(typer, "echo", echo)
    with pytest.raises(typer.Exit) as left:
        perform(lambda _: Outcome(Path("out.gpkg"), 0.5), Terminal())
    assert left.value.exit_code == 2
    assert "cannot be printed (No space left on device)" in capsys.readouterr().err


def test_paths_are_shown_as_they_are() -> None:
    def say(progress: Progress) -> None:
        logging.getLogger("geocobot").info("/data/:a:/scene:smile:.tif")

    assert invoke(say).stderr == "/data/:a:/scene:smile:.tif\n"


@pytest.mark.filterwarnings("default:old function:DeprecationWarning")
def test_the_process_is_left_as_it_was() -> None:
    log = logging.getLogger("geocobot")
    before = (log.level, log.propagate, list(log.handlers), sys.stdout, warnings.showwarning)
    invoke(talk)
    invoke(fail_by_bug)
    after = (log.level, log.propagate, list(log.handlers), sys.stdout, warnings.showwarning)
    assert after == before
