"""What the two passes over the users hand on, by name and in order, and how they go over them."""

from __future__ import annotations

# Users taken at a time. Of a provider's numbers some ten rows of this many are in use: 80 KiB.
TILE = 1024
# Root rewards within this share of their threshold t may count as on or off the floor: far above
# what solvers leave open, and few users come that close by chance.
MARGINAL = 1e-9
# A user's utility is compared relative to μ, or to this share of Σκ(p + R) if that is more: a QoE
# κ − L is known to some ten roundings of κ, which weigh p in what it is worth and R in what it
# costs. Where nobody buys and μ is tiny they are all there is; 1e-9 of this share is 45 of them.
ROUNDED_SHARE = 1e-5

# QoE within this share of κ is none: a user at its floor has κ − L = 0 but for rounding.
NO_QOE = 1e-9
# Stands for the largest value of users where none counts. Infinity would do as well, but then
# compilers turn the choice into a branch.
NONE = -1e300

# QoE within this share of κ is none: a user at its floor has κ − L = 0 but for rounding.
NO_QOE = 1e-9
# Stands for a root reward of zero, which buys nothing, where it would divide by zero.
TINY = 1e-150

# What is summed up over the users of a provider, in this order.
SUMS = (
    "sum_f",  # Σ√(Ra) off the floor A
    "sum_b",  # Σ√(Rb) off the floor
    "floor_f",  # Σ a/κ at the floor
    "floor_b",  # Σ b/κ at the floor
    "cross",  # Σ √(ab)/κ at the floor
    "off_sum_f",  # what the five change by if marginal pairs at the floor were off it
    "off_sum_b",
    "off_floor_f",
    "off_floor_b",
    "off_cross",
    "on_sum_f",  # what the five change by if marginal pairs off the floor were at it
    "on_sum_b",
    "on_floor_f",
    "on_floor_b",
    "on_cross",
    "unusable",  # rewards that are no reward: negative or not finite
    "most_paid",  # ΣRκ
    "compute",  # Σf
    "bandwidth",  # ΣB
    "served_compute",  # Σ|f| of users with QoE who demand some
    "worth_compute",  # Σ Ra/|f| of the same
    "served_bandwidth",
    "worth_bandwidth",
    "buyers_compute",  # how many they are
    "buyers_bandwidth",
    "floor_ratio",  # Σ (b/B²)/(a/f²) of users without QoE who demand both
    "floor_pairs",  # how many they are
    "paid",  # ΣRQ
)
# What the largest is sought of, over the users of a provider.
EXTREMES = (
    "outside",  # share of a bound by which a reward misses it
    "value_compute",  # Ra/f² of users with QoE
    "less_value_compute",  # −Ra/f² of the same
    "floor_value_compute",  # Ra/f² of users without
    "value_bandwidth",
    "less_value_bandwidth",
    "floor_value_bandwidth",
    "ratio",  # (b/B²)/(a/f²) of users without QoE who demand both
    "less_ratio",
    "lack",  # −Q/κ
    "unwanted_compute",  # −f, or |f| where none is demanded
    "unwanted_bandwidth",
    "inconsistency",  # |reported Q − Q|/κ
)
# Columns of the table that the second pass is given of every provider.
COLUMNS = (
    "x",  # roots of the prices
    "y",
    "guess_x",  # those by which the floor was told
    "guess_y",
    "kinked",  # 1 if several lines pass through these prices, else 0
    "low_1",  # impact e = aE₁ + bE₂ + √(ab)E₃ of the line with the least …
    "low_2",
    "low_3",
    "own_1",  # … of the line that these prices belong to …
    "own_2",
    "own_3",
    "high_1",  # … and of the line with the largest
    "high_2",
    "high_3",
    "short_x",  # by how much, at most, lines lie below these prices
    "short_y",
)
