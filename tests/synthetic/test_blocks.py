from __future__ import annotations

import shapely

from geocobot.synthetic.place import SCENE_HW, SCENE_PIXEL_M, TRAIN_SHARE, Plan, plan_place


def test_blocks_keep_off_roads_and_stream_and_each_other(plan: Plan) -> None:
    shapes = [b.polygon for b in plan.blocks]
    asphalt = shapely.union_all([r.asphalt for r in plan.network.roads])
    assert min(s.distance(asphalt) for s in shapes) > 2.0
    assert max(s.intersection(plan.stream.land).area for s in shapes) < 1e-6
    total = shapely.union_all(shapes).area
    assert abs(sum(s.area for s in shapes) - total) < 1e-3
    assert total > 0.5 * 420 * 360


def test_both_parts_of_the_demo_have_what_can_be_taken_for_a_road() -> None:
    height, width = SCENE_HW
    size_m = width * SCENE_PIXEL_M, height * SCENE_PIXEL_M
    blocks = plan_place(0, size_m).blocks
    for part in (
        shapely.box(0, 0, size_m[0] * TRAIN_SHARE, size_m[1]),
        shapely.box(size_m[0] * TRAIN_SHARE, 0, *size_m),
    ):
        uses = {b.use for b in blocks if b.polygon.intersection(part).area > 2000}
        assert {"homes", "yard", "fallow", "field", "park"} <= uses
