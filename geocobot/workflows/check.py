"""Whether scenes and labels are fit to train on, and what to mend first."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import zip_longest
from pathlib import Path

from geocobot.config import CheckOptions, TrainOptions
from geocobot.config.check import PAGE_ENDINGS
from geocobot.errors import ConfigError
from geocobot.inspection.findings import Finding
from geocobot.inspection.labels import ClassFacts, FeatureFacts, class_facts
from geocobot.inspection.scenes import SceneFacts
from geocobot.inspection.shift import Shift
from geocobot.io.labels import FeatureLabels
from geocobot.io.output import check_output
from geocobot.progress import Progress, SilentProgress
from geocobot.settings import check_limits
from geocobot.workflows.advice import advised_command, judge
from geocobot.workflows.check_report import write_report
from geocobot.workflows.forecast import Forecast
from geocobot.workflows.inspected import Inspected, inspect


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """What a check has found.

    Attributes:
        is_trainable: whether training would not be pointless.
        findings: what is to be said, most important first.
        scenes: facts about each scene.
        features: facts about labels that are features.
        classes: background and classes; empty where nobody came so far.
        shift: how far the labels lie beside what they show; None where nothing tells.
        forecast: what training and mapping would take.
        command: what to do next; None where training is pointless.
        report: the HTML report, where one was asked for.
    """

    is_trainable: bool
    findings: tuple[Finding, ...]
    scenes: tuple[SceneFacts, ...] = ()
    features: FeatureFacts | None = None
    classes: tuple[ClassFacts, ...] = ()
    shift: Shift | None = None
    forecast: Forecast | None = None
    command: str | None = None
    report: Path | None = None

    @property
    def exit_code(self) -> int:
        """1 where training would be pointless."""
        return 0 if self.is_trainable else 1

    def tables(self) -> dict[str, dict[str, str]]:
        """Facts by title, by headline, without the classes."""
        tables = {f"Scene {scene.name}": scene.rows() for scene in self.scenes}
        if self.features is not None:
            tables["Labels"] = self.features.rows()
        if self.shift is not None:
            tables["Labels' place"] = {"beside the image": self.shift.in_words()}
        if self.forecast is not None:
            tables["Forecast"] = self.forecast.rows()
        return tables

    def headline(self) -> str:
        """The outcome in one line."""
        if not self.is_trainable:
            return "Training would be pointless."
        warned = sum(finding.level == "warning" for finding in self.findings)
        more = f", {warned} warning{'s' if warned > 1 else ''}" if warned else ""
        return f"Fit to train on{more}."

    def summary(self) -> str:
        """Facts, findings, and what to do next."""
        sections = self.tables()
        if self.classes:
            sections["Classes"] = {c.name: c.in_words() for c in self.classes}
        lines = [
            line
            for title, rows in sections.items()
            for line in (title, *(f"  {name}: {text}" for name, text in rows.items()))
        ]
        lines += [self.headline()]
        lines += [f"  {finding.level}: {finding.text}" for finding in self.findings]
        if self.report is not None:
            lines.append(f"Report:  {self.report}")
        if self.command is not None:
            lines.append(f"Next:    {self.command}")
        return "\n".join(lines)


def check(options: CheckOptions, progress: Progress | None = None) -> CheckResult:
    """Look at scenes and labels as training would, and say what to mend first.

    Args:
        options: scenes, labels, and how training would take them.
        progress: is told of every block that is read.

    Raises:
        GeocobotError: a file is not there or cannot be read, an option makes no sense, or the
            report cannot be written. Data that are not fit to train on are no error: to find
            that out is what was asked for.
    """
    check_limits(options)
    if options.out is not None:
        _refuse_other_than_pages(options.out)
        check_output(options.out, options.overwrite)
    training = _as_training(options)
    found = inspect(training, progress or SilentProgress())
    result = _conclude(training, found)
    if options.out is None:
        return result
    write_report(
        Path(options.out),
        found,
        headline=result.headline(),
        findings=result.findings,
        tables=result.tables(),
        classes=result.classes,
        command=result.command,
        overwrite=options.overwrite,
    )
    return replace(result, report=Path(options.out))


def _refuse_other_than_pages(out: str) -> None:
    """Refuse a name that no report has: it may be that of a scene, which -f would replace."""
    if Path(out).suffix.lower() not in PAGE_ENDINGS:
        raise ConfigError(
            "--out",
            f"is {out}, which is no name of a page",
            f"The report is a page of HTML, whose name ends in {' or '.join(PAGE_ENDINGS)}",
            "Pass -o report.html",
        )


def _as_training(options: CheckOptions) -> TrainOptions:
    """The options of the training that is checked for."""
    own = {"out", "overwrite"}
    shared = {f.name for f in fields(TrainOptions)} & {f.name for f in fields(options)} - own
    return TrainOptions(**{name: getattr(options, name) for name in shared})


def _conclude(options: TrainOptions, found: Inspected) -> CheckResult:
    """Facts, findings and advice from what was found."""
    ground = found.ground
    surveys = () if ground is None else ground.surveys
    scenes = tuple(
        SceneFacts.of(scene, survey, is_learned=k < found.n_learned)
        for k, (scene, survey) in enumerate(zip_longest(found.scenes, surveys))
    )
    features: FeatureFacts | None = None
    classes: tuple[ClassFacts, ...] = ()
    if isinstance(found.labels, FeatureLabels):
        features = FeatureFacts.of(found.labels, found.scenes)
    if ground is not None:
        classes = class_facts(ground.labels, [s.grid for s in ground.scenes], surveys)
    judge(found.findings, features, classes, found.shift)
    findings = found.findings.ordered()
    is_trainable = not any(finding.level == "stop" for finding in findings)
    return CheckResult(
        is_trainable=is_trainable,
        findings=findings,
        scenes=scenes,
        features=features,
        classes=classes,
        shift=found.shift,
        forecast=found.forecast if is_trainable else None,
        command=advised_command(options, scenes, classes) if is_trainable else None,
    )
