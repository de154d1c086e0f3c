from __future__ import annotations

import shapely

from geocobot.synthetic.place import Plan


def test_no_building_stands_on_asphalt_or_in_the_stream(plan: Plan) -> None:
    asphalt = shapely.union_all([r.asphalt for r in plan.network.roads])
    footprints = plan.settlement.footprints.geometries
    assert len(footprints) > 20
    assert shapely.distance(footprints, asphalt).min() > 1.0


def test_houses_stand_in_residential_blocks_and_halls_in_yards(plan: Plan) -> None:
    homes = shapely.union_all([b.polygon for b in plan.blocks if b.use == "homes"])
    yards = shapely.union_all([b.polygon for b in plan.blocks if b.use == "yard"])
    for building in plan.settlement.buildings:
        outline = building.box.polygon()
        if building.box.length_m > 20:
            assert yards.contains(outline)
        elif building.eave_m > 2.5:
            assert homes.contains(outline)


def test_houses_and_halls_do_not_overlap(plan: Plan) -> None:
    tall = [b.box.polygon() for b in plan.settlement.buildings if b.eave_m > 2.5]
    assert shapely.union_all(tall).area > 0.999 * sum(p.area for p in tall)


def test_every_drive_leads_from_the_asphalt_to_a_house(plan: Plan) -> None:
    asphalt = shapely.union_all([r.asphalt for r in plan.network.roads])
    footprints = plan.settlement.footprints
    for lot in plan.settlement.lots:
        drive = lot.drive.polygon()
        assert drive.distance(asphalt) < 0.5
        assert len(footprints.query(drive, predicate="dwithin", distance=1.5))
