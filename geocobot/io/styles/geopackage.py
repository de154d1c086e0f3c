"""Styles and metadata inside of a GeoPackage, where QGIS finds them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from xml.etree.ElementTree import Element

import pandas as pd
import pyogrio

from geocobot.io.styles.document import document

STYLE_TABLE = "layer_styles"
"""Table of a GeoPackage in which QGIS looks for styles."""

_QGIS_STANDARD = "http://mrcc.com/qgis.dtd"
# Columns and types are those of the GeoPackage standard, clause "Metadata".
_METADATA_TABLES = """
CREATE TABLE IF NOT EXISTS gpkg_metadata (
  id INTEGER PRIMARY KEY NOT NULL,
  md_scope TEXT NOT NULL DEFAULT 'dataset',
  md_standard_uri TEXT NOT NULL,
  mime_type TEXT NOT NULL DEFAULT 'text/xml',
  metadata TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS gpkg_metadata_reference (
  reference_scope TEXT NOT NULL,
  table_name TEXT,
  column_name TEXT,
  row_id_value INTEGER,
  timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')),
  md_file_id INTEGER NOT NULL REFERENCES gpkg_metadata(id),
  md_parent_id INTEGER REFERENCES gpkg_metadata(id));
CREATE TABLE IF NOT EXISTS gpkg_extensions (
  table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL, definition TEXT NOT NULL,
  scope TEXT NOT NULL, UNIQUE (table_name, column_name, extension_name));
"""
_REGISTRATION = """
INSERT INTO gpkg_extensions (table_name, extension_name, definition, scope)
SELECT :name, 'gpkg_metadata', :extension, 'read-write'
WHERE NOT EXISTS (SELECT 1 FROM gpkg_extensions WHERE table_name = :name)
"""
_EXTENSION = "http://www.geopackage.org/spec130/#extension_metadata"


def geopackage_layer(name: str) -> str:
    """A layer name that a GeoPackage can have, as near to the one asked for as possible.

    Names of SQLite's and GeoPackage's own tables, the table of styles among them, and names that
    begin with a special character get "map_" in front. QGIS takes `|` for the end of the name.
    """
    name = name.replace("|", "_")
    is_reserved = re.match(r"\W|gpkg|sqlite_", name, flags=re.IGNORECASE)
    return f"map_{name}" if is_reserved or name.lower() == STYLE_TABLE else name


def embed_styles(path: Path, layer: str, styles: Mapping[str, Element], moment: datetime) -> None:
    """Give a GeoPackage layer its styles.

    The table is registered as attributes without geometry, as QGIS does it itself, so that QGIS
    neither shows it nor asks which layer to open.

    Args:
        path: an existing GeoPackage.
        layer: name of its layer.
        styles: by their names in QGIS; the first is the one that a layer opens with.
        moment: when they were made.
    """
    rows = [
        {
            "f_table_catalog": "",
            "f_table_schema": "",
            "f_table_name": layer,
            "f_geometry_column": "geom",
            "styleName": name,
            "styleQML": document(style),
            "styleSLD": "",
            "useAsDefault": i == 0,
            "description": f"Colored by {name}",
            "owner": "",
            "ui": "",
            "update_time": pd.Timestamp(moment).floor("ms"),
        }
        for i, (name, style) in enumerate(styles.items())
    ]
    pyogrio.write_dataframe(pd.DataFrame(rows), path, layer=STYLE_TABLE, driver="GPKG", append=True)


def embed_metadata(path: Path, layer: str, xml: str, moment: datetime) -> None:
    """Give a GeoPackage layer metadata that QGIS shows (Properties > Metadata).

    Args:
        path: an existing GeoPackage.
        layer: name of its layer.
        xml: see `metadata_xml`.
        moment: when they were made.

    Raises:
        OSError: there is no room for them.
    """
    stamp = moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    try:
        with closing(sqlite3.connect(path)) as db, db:
            db.executescript(_METADATA_TABLES)
            done = db.execute(
                "INSERT INTO gpkg_metadata (md_scope, md_standard_uri, metadata) "
                "VALUES ('dataset', ?, ?)",
                (_QGIS_STANDARD, xml),
            )
            db.execute(
                "INSERT INTO gpkg_metadata_reference "
                "(reference_scope, table_name, timestamp, md_file_id) VALUES ('table', ?, ?, ?)",
                (layer, stamp, done.lastrowid),
            )
            for table in ("gpkg_metadata", "gpkg_metadata_reference"):
                db.execute(_REGISTRATION, {"name": table, "extension": _EXTENSION})
    except sqlite3.Error as error:
        raise OSError(str(error)) from error
