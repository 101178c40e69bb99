"""The capacity table's arithmetic."""

import pytest

from bench.capacity import BUSY, POLLS_A_GATEWAY, Cost, Costs, capacity, need, shared

COSTS = Costs(
    batch=Cost(1, 50),
    commit_ms=Cost(2, 10),
    gateway=Cost(500, 200),
    postgres=Cost(400, 100),
    redis=Cost(50, 5),
    worker=Cost(300, 100),
    tail=Cost(100, 20),
    tail_postgres=Cost(40, 4),
    delivery_us=150,
    poll_us=100,
)


@pytest.mark.parametrize(("batch", "cost"), [(0.5, 500), (1, 500), (2, 346.94), (50, 200), (100, 200)])
def test_a_commit_s_part_of_a_send_s_cost_falls_with_the_batch(batch: float, cost: float) -> None:
    assert COSTS.gateway.at(batch, COSTS.batch) == pytest.approx(cost, abs=0.01)


def test_measurements_that_barely_differ_are_not_extrapolated() -> None:
    assert Cost(500, 200).at(3, Cost(2, 2)) == 200


def test_few_sends_have_a_commit_each_and_many_share_one_so_that_the_lock_is_not_busier_than_it_may_be() -> None:
    assert shared(COSTS, 100) == (1, pytest.approx(0.2))
    batch, lock = shared(COSTS, 3000)
    assert 1 < batch < 100
    assert lock == pytest.approx(BUSY)


def test_past_the_largest_commit_the_lock_is_busier_than_it_may_be() -> None:
    batch, lock = shared(COSTS, 9000)
    assert batch == 100
    assert lock > BUSY


def test_one_gateway_reads_no_tail() -> None:
    found = need(COSTS, 3_600)
    assert (found.sends, found.gateways) == (12, 1)
    assert found.gateway_cores == pytest.approx((12 * 500 + 12 * 2 * 150 + 120 * 100) / 1e6)
    assert found.postgres_cores == pytest.approx(12 * 400 / 1e6)


def test_each_of_several_gateways_reads_what_all_send() -> None:
    found = need(COSTS, 36_000)
    assert found.gateways == 36_000 // POLLS_A_GATEWAY + 1
    assert found.gateway_cores == pytest.approx((120 * 500 + 120 * 2 * 150 + 1_200 * 100) / 2e6 + 120 * 100 / 1e6)
    assert found.postgres_cores == pytest.approx(120 * (400 + 40) / 1e6)


def test_there_are_as_many_gateways_as_their_cpu_asks_for() -> None:
    found = need(COSTS, 1_000_000)
    assert found.gateways >= 1_000_000 // POLLS_A_GATEWAY
    assert found.gateway_cores <= BUSY


def test_the_table_is_made_from_the_values_of_an_outcome() -> None:
    values = COSTS.flat()
    assert Costs.of(values) == COSTS
    text = capacity({**values, "rate": 1.0})
    assert [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| 1")] == [
        *("1,000", "10,000", "100,000", "1,000,000")
    ]
