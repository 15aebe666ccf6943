from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import numpy as np
import pytest

from qoex.errors import InvalidInputError
from qoex.model.market import ARRAY_FIELDS, Market


def arguments() -> dict[str, Any]:
    """Two providers and three users; the last pair is absent."""
    return {
        "work": [[10.0, 20.0, 30.0], [40.0, 50.0, 0.0]],
        "traffic": [[1.0, 0.0, 3.0], [4.0, 5.0, 0.0]],
        "latency_budget": [[500.0, 600.0, 700.0], [800.0, 900.0, 0.0]],
        "compute_cost": [21.0, 24.0],
        "bandwidth_cost": [0.15, 0.25],
        "compute_capacity": [20.0, 10.0],
        "bandwidth_capacity": [300.0, 200.0],
        "profit_factor": [370.0, 380.0, 390.0],
        "reward_min": [0.0, 0.1, 0.2],
        "reward_max": [10.0, 11.0, 0.2],
        "provider_names": ["east", "west"],
        "user_names": ["ada", "bob", "cyd"],
    }


@pytest.fixture
def market() -> Market:
    return Market(**arguments())


def test_fields_shapes_and_names(market: Market) -> None:
    assert (market.providers, market.users) == (2, 3)
    assert market.provider_names == ("east", "west")
    assert market.user_names == ("ada", "bob", "cyd")
    assert repr(market) == "Market(2 providers × 3 users)"
    for name in ARRAY_FIELDS:
        array = getattr(market, name)
        assert array.dtype == np.float64
        np.testing.assert_array_equal(array, arguments()[name])
    np.testing.assert_array_equal(market.present, [[True, True, True], [True, True, False]])


def test_names_are_numbered_unless_given() -> None:
    given = arguments()
    del given["provider_names"], given["user_names"]
    market = Market(**given)
    assert market.provider_names == ("provider-1", "provider-2")
    assert market.user_names == ("user-1", "user-2", "user-3")


BAD: list[tuple[dict[str, Any], str]] = [
    (
        {"work": [[1.0, 2.0, 3.0], [float("nan"), 5.0, 0.0]]},
        "work of west, ada is nan; it must be a finite number",
    ),
    (
        {"profit_factor": [1.0, float("inf"), 1.0]},
        "profit_factor of bob is inf; it must be a finite number",
    ),
    ({"traffic": [[1, 0, -3], [4, 5, 0]]}, "traffic of east, cyd is -3.0; it must not be negative"),
    ({"compute_cost": [0, 1]}, "compute_cost of east is 0.0; it must be greater than zero"),
    (
        {"bandwidth_cost": [1, 0]},
        "bandwidth_cost of west is 0.0; it must be greater than zero",
    ),
    (
        {"compute_capacity": [0, 1]},
        "compute_capacity of east is 0.0; it must be greater than zero",
    ),
    (
        {"bandwidth_capacity": [1, 0]},
        "bandwidth_capacity of west is 0.0; it must be greater than zero",
    ),
    (
        {"profit_factor": [0, 1, 1]},
        "profit_factor of ada is 0.0; it must be greater than zero",
    ),
    (
        {"reward_min": [0, 0, 0], "reward_max": [1, 1, 0]},
        "reward_max of cyd is 0.0; it must be greater than zero",
    ),
    ({"reward_min": [-1, 0, 0]}, "reward_min of ada is -1.0; it must not be negative"),
    ({"reward_min": [0, 0, 1]}, "reward_min of cyd is 1.0, above its reward_max 0.2"),
    (
        {"latency_budget": [[500, 600, 700], [0, 900, 0]]},
        "latency_budget of west, ada is 0.0; "
        "it must be greater than zero where work or traffic is demanded",
    ),
    (
        {"latency_budget": [[500, 600, 700], [800, 900, 5]]},
        "work of west, cyd is 0.0; it and traffic must not both be zero unless latency_budget is "
        "zero too (an absent pair)",
    ),
    (
        {"work": [[1, 2, 3], [4, 5]]},
        "work must be an array of numbers, all rows equally long",
    ),
    (
        {"work": [["1", "2", "3"], ["4", "5", "0"]]},
        "work must be an array of numbers, all rows equally long",
    ),
    (
        {"work": [1.0, 2.0, 3.0]},
        "work has shape (3,); it must have two axes (providers × users)",
    ),
    ({"compute_cost": [[1.0]]}, "compute_cost has shape (1, 1); it must have one axis"),
    (
        {"work": np.zeros((0, 3))},
        "work has shape (0, 3); a market needs a provider and a user",
    ),
    (
        {"compute_cost": [1, 2, 3]},
        "compute_cost has shape (3,); it must be (2,) to match work (2 providers × 3 users)",
    ),
    (
        {"profit_factor": [1, 2]},
        "profit_factor has shape (2,); it must be (3,) to match work (2 providers × 3 users)",
    ),
    (
        {"traffic": np.ones((3, 2))},
        "traffic has shape (3, 2); it must be (2, 3) to match work (2 providers × 3 users)",
    ),
    ({"user_names": ["a", "b"]}, "user_names has 2 names for 3 users"),
    ({"user_names": []}, "user_names has 0 names for 3 users"),
    ({"provider_names": "we"}, "provider_names is 'we'; it must be a list of names"),
    (
        {"user_names": ["a", " ", "c"]},
        "user_names[1] is ' '; it must be a non-empty string",
    ),
    ({"user_names": ["a", 2, "c"]}, "user_names[1] is 2; it must be a non-empty string"),
    ({"user_names": ["a", "b", "a"]}, "user_names holds 'a' more than once"),
]


@pytest.mark.parametrize(("changes", "message"), BAD, ids=[message[:40] for _, message in BAD])
def test_bad_input_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidInputError) as caught:
        Market(**(arguments() | changes))
    assert str(caught.value) == message


def test_nothing_can_be_changed(market: Market) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        market.work = np.ones((2, 3))  # type: ignore[misc]
    for name in ARRAY_FIELDS:
        with pytest.raises(ValueError, match="read-only"):
            getattr(market, name)[0] = 7.0


def test_the_caller_keeps_arrays_of_their_own() -> None:
    work = np.array(arguments()["work"])
    market = Market(**(arguments() | {"work": work}))
    work[0, 0] = 99.0
    assert market.work[0, 0] == 10.0


@pytest.mark.parametrize("make", [copy.deepcopy, lambda item: pickle.loads(pickle.dumps(item))])
def test_copies_are_equal_and_as_immutable(market: Market, make: Any) -> None:
    again = make(market)
    assert again == market
    assert not any(getattr(again, name).flags.writeable for name in ARRAY_FIELDS)


@pytest.mark.parametrize("name", ARRAY_FIELDS)
def test_equality_sees_the_last_bit_of_every_field(market: Market, name: str) -> None:
    array = np.array(getattr(market, name))
    assert market.replace(**{name: array}) == market
    array.flat[0] = np.nextafter(array.flat[0], np.inf)
    assert market.replace(**{name: array}) != market


def test_equality_sees_names_and_kind(market: Market) -> None:
    assert market.replace(user_names=["ada", "bob", "dee"]) != market
    assert market.replace(provider_names=["north", "west"]) != market
    assert market != "market"
    with pytest.raises(TypeError, match="unhashable"):
        hash(market)


def test_replace_changes_one_field_and_validates(market: Market) -> None:
    changed = market.replace(compute_cost=[1.0, 2.0])
    np.testing.assert_array_equal(changed.compute_cost, [1.0, 2.0])
    assert changed.replace(compute_cost=market.compute_cost) == market
    with pytest.raises(InvalidInputError, match=r"^compute_cost of west is -2\.0; it must not"):
        market.replace(compute_cost=[1.0, -2.0])
    with pytest.raises(TypeError, match="compute_coast"):
        market.replace(compute_coast=[1.0, 2.0])


def test_select_takes_rows_and_columns_in_the_order_given(market: Market) -> None:
    part = market.select(providers=[1], users=[2, 0])
    assert part.provider_names == ("west",)
    assert part.user_names == ("cyd", "ada")
    np.testing.assert_array_equal(part.work, [[0.0, 40.0]])
    np.testing.assert_array_equal(part.traffic, [[0.0, 4.0]])
    np.testing.assert_array_equal(part.latency_budget, [[0.0, 800.0]])
    np.testing.assert_array_equal(part.compute_cost, [24.0])
    np.testing.assert_array_equal(part.bandwidth_capacity, [200.0])
    np.testing.assert_array_equal(part.profit_factor, [390.0, 370.0])
    np.testing.assert_array_equal(part.reward_max, [0.2, 10.0])
    assert market.select() == market
    assert market.select(users=1).user_names == ("bob",)


def test_select_takes_booleans(market: Market) -> None:
    mask = np.array([True, False, True])
    assert market.select(users=mask) == market.select(users=[0, 2])
    with pytest.raises(InvalidInputError) as caught:
        market.select(users=mask[:2])
    assert str(caught.value) == "a selection has 2 booleans; it must have 3"


def test_select_refuses_nothing_and_fractions(market: Market) -> None:
    with pytest.raises(InvalidInputError) as caught:
        market.select(users=[])
    assert str(caught.value) == "work has shape (2, 0); a market needs a provider and a user"
    with pytest.raises(InvalidInputError, match="must hold indices or booleans"):
        market.select(users=[0.5])


def test_without_makes_pairs_absent(market: Market) -> None:
    pairs = np.zeros((2, 3), dtype=bool)
    pairs[0, 1] = True
    less = market.without(pairs)
    np.testing.assert_array_equal(less.present, market.present & ~pairs)
    assert less.work[0, 1] == less.traffic[0, 1] == less.latency_budget[0, 1] == 0.0
    np.testing.assert_array_equal(less.work[~pairs], market.work[~pairs])
    assert market.without(np.zeros((2, 3), dtype=bool)) == market


def test_user_index(market: Market) -> None:
    assert market.user_index("cyd") == 2
    with pytest.raises(InvalidInputError) as caught:
        market.user_index("dee")
    assert str(caught.value) == "there is no user named 'dee'; the users are ada, bob, cyd"
