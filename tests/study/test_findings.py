"""Tables of a study, on points whose gains, winners, losses and gaps are known on paper."""

from __future__ import annotations

from math import inf, isnan, nan

import pytest

from decc_core.study.findings import (
    BEST_BASELINE,
    Failure,
    Findings,
    Kind,
    Point,
    Table,
    distribution_of_gains,
    gain_over_uplink,
    geometric_mean,
    is_contested,
    quantile,
    shown,
)


def point(
    network: str, uplink: float, requests: int, contested: bool | None, bound: float | None, **values: float
) -> Point:
    named = {name.replace("_", "-"): value for name, value in values.items()}
    return Point(network, uplink, requests, contested, named, bound, where=f"uplink {uplink:g} Mbit/s")


POINTS = (
    point("a", 1.0, 1, True, 100, edge_only=200, cloud_only=400, decc=100),  # 2x over the best, 4x over the cloud
    point("a", 10.0, 1, True, 100, edge_only=800, cloud_only=1600, decc=100),  # 8x and 16x
    point("b", 1.0, 1, False, 50, edge_only=60, cloud_only=600, decc=60),  # no gain, gap 20 %
    point("b", 1.0, 8, True, 400, edge_only=500, cloud_only=450, decc=500),  # behind the cloud by a tenth
)
FOUND = Findings(POINTS, (Failure("b", "exact", "failed", "no time"), Failure("a", "exact", "failed", "no time")))


def table(name: str, found: Findings = FOUND) -> Table:
    return next(table for table in found.tables if table.name == name)


def rows(name: str, found: Findings = FOUND) -> list[dict[str, object]]:
    one = table(name, found)
    return [dict(zip((column.key for column in one.columns), row, strict=True)) for row in one.rows]


def row(name: str, **wanted: object) -> dict[str, object]:
    (found,) = (one for one in rows(name) if all(one[key] == value for key, value in wanted.items()))
    return found


def test_gains_are_geometric_means_and_the_best_baseline_is_found_at_each_point():
    mine = row("gain-decc", network="a", requests=1, contested="contested")
    assert mine["points"] == 2
    assert mine["gain_over_edge-only"] == pytest.approx(4)
    assert mine["gain_over_cloud-only"] == pytest.approx(8)
    assert mine["gain_over_best_baseline"] == pytest.approx(4)
    assert (mine["least_gain_over_best_baseline"], mine["most_gain_over_best_baseline"]) == (2, 8)


def test_contested_points_stand_apart_and_all_networks_come_first():
    told = [(one["network"], one["requests"], one["contested"], one["points"]) for one in rows("winners")]
    assert told == [
        ("all networks", 1, "contested", 2),
        ("all networks", 1, "other", 1),
        ("all networks", 8, "contested", 1),
        ("a", 1, "contested", 2),
        ("b", 1, "other", 1),
        ("b", 8, "contested", 1),
    ]


def test_of_equal_winners_the_simplest_is_named():
    mine = row("winners", network="b", requests=1)
    assert (mine["edge-only_wins"], mine["decc_wins"]) == (1, 0)
    assert row("winners", network="a")["decc_wins"] == 2


def test_a_loss_is_told_with_its_limit_its_size_and_where_it_was():
    mine = row("losses-decc", network="b", requests=8)
    assert (mine["losses"], mine["limit_fraction"], mine["worst_to"]) == (1, 0.0, "cloud-only")
    assert mine["worst_fraction"] == pytest.approx(0.1)
    assert mine["worst_at"] == "uplink 1 Mbit/s"
    assert {one["network"] for one in rows("losses-decc")} == {"all networks", "b"}
    within = Findings(POINTS, limit=0.11)
    assert all(one["losses"] == 0 for one in rows("losses-decc", within))


def test_gaps_are_of_the_bound_and_zero_proves():
    mine = row("gaps", network="a")
    assert (mine["gap_median_fraction"], mine["gap_p95_fraction"], mine["proven_optimal_fraction"]) == (0, 0, 1)
    other = row("gaps", network="b", requests=1)
    assert other["gap_median_fraction"] == pytest.approx(0.2)
    assert other["proven_optimal_fraction"] == 0


def test_every_strategy_stands_against_every_baseline():
    mine = row("strategies", strategy="cloud-only", requests=8)
    assert mine["gain_over_edge-only"] == pytest.approx(500 / 450)
    assert mine["gain_over_best_baseline"] == 1


def test_rows_without_a_value_are_counted_with_their_reason():
    (mine,) = rows("errors")
    assert mine == {"rows": 2, "strategy": "exact", "status": "failed", "reason": "no time", "networks": 2}


def test_of_rates_more_is_better_and_a_baseline_that_sustains_nothing_is_left_out_of_the_mean():
    points = (
        Point("a", 1.0, None, None, {"jps": 10.0, "decc": 15.0}, higher=True),
        Point("a", 2.0, None, None, {"jps": 0.0, "decc": 5.0}, higher=True),
        Point("a", 3.0, None, None, {"jps": 0.0, "decc": 0.0}, higher=True),
    )
    found = Findings(points, measure="sustained rate")
    assert [one.winner for one in points] == ["decc", "decc", "jps"]
    assert points[1].gain("decc", "jps") == inf
    (mine,) = rows("gain-decc", found)
    # 1.5 and 1, as the quotient by nothing is none.
    assert mine["gain_over_jps"] == pytest.approx(1.5**0.5)
    assert "requests" not in mine
    assert "contested" not in mine


def test_a_strategy_without_a_plan_is_left_out_where_it_has_none():
    mine = Point("a", 1.0, 1, None, {"edge-only": 3.0, "decc": 2.0})
    assert isnan(mine.gain("decc", "jps"))
    assert mine.gain("decc", BEST_BASELINE) == 1.5
    assert Point("a", 1.0, 1, None, {"decc": 2.0}).best_baseline is None


def test_a_study_of_baselines_alone_tells_who_wins_among_them():
    found = Findings((Point("a", 1.0, 1, None, {"edge-only": 3.0, "jps": 2.0}),))
    assert [table.name for table in found.tables] == ["strategies", "winners"]
    assert Findings(()).tables == ()


def test_lines_over_the_uplink_are_means_of_a_networks_points_at_each_rate():
    lines = gain_over_uplink(FOUND, "decc")
    assert list(lines) == [1, 8]
    (a, b) = lines[1]
    assert (a.name, a.xs, a.ys) == ("a", (1.0, 10.0), (2.0, pytest.approx(8.0)))
    assert (b.name, b.xs, b.ys) == ("b", (1.0,), (1.0,))


def test_a_distribution_rises_to_all_points():
    lines = {line.name: line for line in distribution_of_gains(FOUND, "decc")}
    assert lines[BEST_BASELINE].xs == (0.9, 1.0, 2.0, 8.0)
    assert lines[BEST_BASELINE].ys == (0.25, 0.5, 0.75, 1.0)


def test_means_quantiles_and_contests_are_what_they_are_called():
    assert geometric_mean([1, 4, nan, inf, 0]) == 2
    assert isnan(geometric_mean([]))
    assert [quantile([1, 2, 3, 4], share) for share in (0, 0.25, 0.5, 0.75, 0.95, 1)] == [1, 1, 2, 3, 4, 4]
    assert is_contested(100, 200)
    assert not is_contested(100, 201)


def test_cells_are_read_by_people():
    assert [shown(value, Kind.GAIN) for value in (1.23456, 12.3, nan, None)] == ["1.235×", "12.3×", "–", "–"]
    assert [shown(value, Kind.SHARE) for value in (0.0, 0.0123)] == ["0 %", "1.23 %"]
    assert shown(1234, Kind.COUNT) == "1,234"


def test_a_row_of_another_length_is_no_row_of_a_table():
    with pytest.raises(ValueError, match="number of cells"):
        Table("t", "t", "", FOUND.tables[0].columns, ((1,),))
