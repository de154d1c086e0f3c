from __future__ import annotations

import shapely

from geocobot.synthetic.place import Plan


def test_crowns_keep_off_asphalt_and_roofs(plan: Plan) -> None:
    stems = shapely.points(plan.trees.xy)
    asphalt = shapely.union_all([r.asphalt for r in plan.network.roads])
    roofs = shapely.union_all(plan.settlement.footprints.geometries)
    assert len(stems) > 300
    assert (shapely.distance(stems, asphalt) > 0.7 * plan.trees.radius_m).all()
    assert (shapely.distance(stems, roofs) > 0.5 * plan.trees.radius_m).all()


def test_tall_trees_have_wide_crowns(plan: Plan) -> None:
    slenderness = (plan.trees.height_m - 1.0) / plan.trees.radius_m
    assert slenderness.min() >= 1.8
    assert slenderness.max() <= 3.0
