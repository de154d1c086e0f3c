"""The GDAL and PROJ libraries that wheels bring along, and what may lead them astray."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from geocobot.workflows.privacy import hide

VARIABLES = ("PROJ_LIB", "PROJ_DATA", "GDAL_DATA", "GDAL_DRIVER_PATH")


@dataclass(frozen=True)
class GdalBuild:
    """One of the GDAL libraries that wheels bring along.

    Attributes:
        package: the Python package that holds it.
        gdal: version of GDAL; empty where the package has none.
        proj: version of PROJ; empty where the package does not tell.
        data: folder of its data, "" if it was not found.
    """

    package: str
    gdal: str
    proj: str
    data: str


def set_variables() -> dict[str, str]:
    """Environment variables that lead GDAL or PROJ to their data, where set."""
    return {name: hide(os.environ[name]) for name in VARIABLES if os.environ.get(name)}


def inspect_gdal() -> tuple[tuple[GdalBuild, ...], tuple[str, ...]]:
    """Ask every GDAL and PROJ for its version and data, and whether it finds them.

    Returns:
        What was found, and warnings that say what is wrong and what to do about it.
    """
    environment = set_variables()
    builds, warnings = [], []
    for package, look in _LOOKS.items():
        try:
            builds.append(look())
        except Exception as error:  # a broken wheel may raise anything: report it
            builds.append(GdalBuild(package, "", "", ""))
            warnings.append(_describe_broken(package, error, environment))
    foreign = [n for n, path in environment.items() if not path.startswith(hide(sys.prefix))]
    if foreign and not warnings:
        names = " and ".join(foreign)
        warnings.append(
            f"{names} lead GDAL or PROJ to data of another program, such as QGIS or conda. The "
            f"packages bring their own: unset {names} if coordinate systems are not found."
        )
    return tuple(builds), tuple(warnings)


def _describe_broken(package: str, error: Exception, environment: Mapping[str, str]) -> str:
    """Say what is wrong with a GDAL and what to do."""
    blame = (
        f"Unset {' and '.join(environment)}, which QGIS or conda left behind, and try again."
        if environment
        else f"Install it again: pip install --force-reinstall {package}."
    )
    return hide(f"{package} does not work ({error}). {blame}")


def _look_at_rasterio() -> GdalBuild:
    """Ask rasterio for its GDAL, and for a CRS that needs PROJ's data."""
    import rasterio
    from rasterio.crs import CRS
    from rasterio.env import GDALDataFinder

    with rasterio.Env():  # without it GDAL writes its errors to the terminal itself
        CRS.from_epsg(32633)
    return GdalBuild(
        "rasterio",
        rasterio.__gdal_version__,
        rasterio.__proj_version__,
        hide(GDALDataFinder().search() or ""),
    )


def _look_at_pyogrio() -> GdalBuild:
    """Ask pyogrio for its GDAL."""
    import pyogrio

    folder = pyogrio.get_gdal_data_path() or ""
    return GdalBuild("pyogrio", pyogrio.__gdal_version_string__, "", hide(folder))


def _look_at_pyproj() -> GdalBuild:
    """Ask pyproj for its PROJ, and for a CRS that needs its data."""
    import pyproj

    pyproj.CRS.from_epsg(32633)
    return GdalBuild("pyproj", "", pyproj.proj_version_str, hide(pyproj.datadir.get_data_dir()))


_LOOKS: Mapping[str, Callable[[], GdalBuild]] = {
    "rasterio": _look_at_rasterio,
    "pyogrio": _look_at_pyogrio,
    "pyproj": _look_at_pyproj,
}
