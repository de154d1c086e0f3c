"""What can go wrong, in the user's words.

Every message has four parts: the file (or option), what was found, what is needed, and how to
get there. The command line prints it as one paragraph and exits with code 2.
"""

from __future__ import annotations

from pathlib import Path

from geocobot.secrecy import without_secrets


class GeocobotError(Exception):
    """Base of every error a user can cause and mend; passwords in addresses are left out.

    Args:
        subject: the file, option or thing the message is about; the sentence starts with it.
        found: what was found, as the rest of that sentence: "has no CRS (roads.prj is missing)".
        needed: what geocobot needs, as a sentence without its full stop.
        remedy: what to do about it, as a sentence without its full stop.
    """

    def __init__(self, subject: str | Path, found: str, needed: str, remedy: str) -> None:
        self.subject = without_secrets(str(subject))
        self.found = without_secrets(found)
        self.needed = without_secrets(needed)
        self.remedy = without_secrets(remedy)
        super().__init__(f"{self.subject} {self.found}. {self.needed}. {self.remedy}.")

    def __reduce__(self) -> tuple[type[GeocobotError], tuple[str, str, str, str]]:
        """Pickle by the four parts, so that an error crosses process borders whole."""
        return type(self), (self.subject, self.found, self.needed, self.remedy)


class ConfigError(GeocobotError):
    """An option or a configuration file makes no sense."""


class MissingFileError(GeocobotError):
    """A file or folder that was asked for is not there."""


class UnreadableFileError(GeocobotError):
    """A file is there but cannot be read: truncated, corrupt or of another kind."""


class CrsError(GeocobotError):
    """A coordinate reference system is missing or cannot be used."""


class GridError(GeocobotError):
    """A raster's geotransform cannot be used: rotated, sheared or degenerate."""


class GridMismatchError(GeocobotError):
    """Windows, tiles or rasters do not belong to the same grid."""


class BandError(GeocobotError):
    """A band is missing, or the bands do not fit the model."""


class PixelSizeError(GeocobotError):
    """The scene's ground pixel size is too far from the model's."""


class SceneSizeError(GeocobotError):
    """A scene is too large for what a map of it may take."""


class OverlapError(GeocobotError):
    """Labels and raster do not overlap."""


class EmptyLabelsError(GeocobotError):
    """No usable feature is left in the labels."""


class GeometryError(GeocobotError):
    """Features have a kind of geometry that cannot be used."""


class FieldError(GeocobotError):
    """An attribute field does not exist, or its values cannot be used."""


class LayerError(GeocobotError):
    """A layer or an asset has to be named, or the named one does not exist."""


class SplitError(GeocobotError):
    """The scene cannot be split into training and validation."""


class ModelFileError(GeocobotError):
    """A model file is truncated, foreign or made for another base."""


class CheckpointError(GeocobotError):
    """A base's weights cannot be had, or are not what they should be."""


class ResumeError(GeocobotError):
    """An interrupted run cannot be continued as asked."""


class OutputError(GeocobotError):
    """An output exists already, or cannot be written."""


class DeviceError(GeocobotError):
    """The device that was asked for is not there."""


class WorkerError(GeocobotError):
    """A process or a node that computed a part has ended."""
