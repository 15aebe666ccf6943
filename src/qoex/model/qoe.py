"""Quality of experience: accuracy, tokens and latency in one number (section III of the paper).

Every function takes floats or arrays that broadcast together, and returns a NumPy scalar (a float)
where all arguments are scalars. All of them raise InvalidInputError, naming field and value, for a
number that is NaN, infinite, negative or outside of the range stated. Units: ms, TFLOPS, MHz.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qoex.model.market import FloatArray
from qoex.model.validation import (
    at_least_one,
    not_negative,
    open_share,
    positive,
    share,
    within,
)

BITS_PER_TOKEN = 32.0  # section III-C: 1 token ≈ 4 bytes
BITS_PER_MHZ_MS = 1000.0  # 1 MHz at 1 bit/s/Hz moves 1000 bits per ms
AMBIGUITY_LIMIT = 0.5  # Lemma 1: η < 1/2, so that another example can only help
DECIBEL_LIMIT = 3000.0  # 10^(±300) still is a normal double

# A whole number of examples K recovered from its own gap may come out above K by rounding alone;
# a gap missed by less than this share counts as reached. ln θ̂ is good to about 1e-15 · K.
GAP_ROUNDING = 1e-12


def performance_gap_bound(
    task_ambiguity: ArrayLike, example_ambiguities: ArrayLike, skewness: ArrayLike = 1.0
) -> FloatArray:
    """Bound the performance gap θ from the ambiguities themselves (Theorem 1, eq. 4).

    θ ≤ 2 Υ^K ζ₀/(1−ζ₀) · Π_k ζ_k/(1−ζ_k)

    Args:
        task_ambiguity: ζ₀ of the input message, in [0, 1), any shape.
        example_ambiguities: ζ_k of the K examples along the last axis, in [0, 1).
        skewness: Υ, at least one (it is a supremum over contexts that include the true one).

    Returns:
        The bound, dimensionless; 1 or more says nothing about a probability.

    """
    ambiguities = np.atleast_1d(share("example_ambiguities", example_ambiguities, below=1.0))
    scale = gap_scale(task_ambiguity, ambiguities.shape[-1], skewness)
    odds: FloatArray = np.prod(ambiguities / (1.0 - ambiguities), axis=-1)
    return scale * odds


def gap_scale(
    task_ambiguity: ArrayLike, examples: ArrayLike, skewness: ArrayLike = 1.0
) -> FloatArray:
    """Return β = 2 Υ^K ζ₀/(1−ζ₀) of eq. 6 for K examples, dimensionless.

    Args:
        task_ambiguity: ζ₀ of the input message, in [0, 1).
        examples: K, zero or more.
        skewness: Υ, at least one; at one (a large, balanced data set) β does not depend on K.

    """
    ambiguity = share("task_ambiguity", task_ambiguity, below=1.0)
    power = at_least_one("skewness", skewness) ** not_negative("examples", examples)
    return 2.0 * power * ambiguity / (1.0 - ambiguity)


def gap_from_examples(
    examples: ArrayLike, gap_scale: ArrayLike, example_ambiguity: ArrayLike
) -> FloatArray:
    """Return θ̂ = β (η/(1−η))^K (eq. 6), dimensionless.

    Args:
        examples: K, zero or more; real values are allowed.
        gap_scale: β, greater than zero.
        example_ambiguity: η, in [0, 1/2) (Lemma 1).

    Returns:
        θ̂. One or more is no demand that eq. 7 can price; ``accuracy_cost`` refuses it.

    """
    count = not_negative("examples", examples)
    scale = positive("gap_scale", gap_scale)
    ambiguity = share("example_ambiguity", example_ambiguity, below=AMBIGUITY_LIMIT)
    return scale * (ambiguity / (1.0 - ambiguity)) ** count


def examples_from_gap(
    performance_gap: ArrayLike, gap_scale: ArrayLike, example_ambiguity: ArrayLike
) -> FloatArray:
    """Return the real K at which eq. 6 gives this gap: ln(θ̂/β) / ln(η/(1−η)).

    Args:
        performance_gap: θ̂, in (0, 1).
        gap_scale: β, greater than zero.
        example_ambiguity: η, in (0, 1/2); at η = 0 any K > 0 would do.

    Returns:
        K; zero where the gap is reached without examples (θ̂ ≥ β).

    """
    gap = open_share("performance_gap", performance_gap, below=1.0)
    scale = positive("gap_scale", gap_scale)
    ambiguity = open_share("example_ambiguity", example_ambiguity, below=AMBIGUITY_LIMIT)
    count = (np.log(gap) - np.log(scale)) / (np.log(ambiguity) - np.log1p(-ambiguity))
    at_least_none: FloatArray = np.maximum(count, 0.0)
    return at_least_none


def least_examples(
    performance_gap: ArrayLike, gap_scale: ArrayLike, example_ambiguity: ArrayLike
) -> NDArray[np.int64]:
    """Return the least whole number of examples with β (η/(1−η))^K ≤ θ̂ (eq. 6, footnote 3).

    Takes what ``examples_from_gap`` takes. A gap missed by rounding alone counts as reached.
    """
    gap = open_share("performance_gap", performance_gap, below=1.0)
    count = np.ceil(examples_from_gap(gap, gap_scale, example_ambiguity))
    fewer = np.maximum(count - 1.0, 0.0)
    with_fewer = gap_from_examples(fewer, gap_scale, example_ambiguity)
    count = np.where(with_fewer <= gap * (1.0 + GAP_ROUNDING), fewer, count)
    return count.astype(np.int64)[()]


def accuracy_cost(performance_gap: ArrayLike) -> FloatArray:
    """Return ln(1/θ̂), the factor that accuracy puts on compute (eq. 7), dimensionless.

    Args:
        performance_gap: θ̂, in (0, 1).

    """
    return -np.log(open_share("performance_gap", performance_gap, below=1.0))


def token_pairs(input_tokens: ArrayLike, output_tokens: ArrayLike) -> FloatArray:
    """Return Σ_{i<x_out} (x_in + i) = x_out·x_in + x_out(x_out−1)/2, attended pairs (eq. 7).

    Both counts are zero or more and may be real (means); below one output token only the first
    term is left, so the result is never negative.
    """
    incoming = not_negative("input_tokens", input_tokens)
    outgoing = not_negative("output_tokens", output_tokens)
    with np.errstate(over="ignore"):  # infinity is refused, by place, where a market is built
        return outgoing * (incoming + 0.5 * np.maximum(outgoing - 1.0, 0.0))


def traffic(input_tokens: ArrayLike, output_tokens: ArrayLike, snr: ArrayLike) -> FloatArray:
    """Return b = 32 (x_in + x_out) / log₂(1+γ) / 1000, the bandwidth-time in MHz·ms (eq. 7).

    Args:
        input_tokens: x_in, zero or more.
        output_tokens: x_out, zero or more.
        snr: γ, linear, greater than zero.

    """
    tokens = not_negative("input_tokens", input_tokens) + not_negative(
        "output_tokens", output_tokens
    )
    bits_per_hertz: FloatArray = np.log1p(positive("snr", snr)) / np.log(2.0)
    with np.errstate(over="ignore"):  # as in token_pairs
        return BITS_PER_TOKEN * tokens / bits_per_hertz / BITS_PER_MHZ_MS


def snr_from_channel(
    channel_gain: ArrayLike, transmit_power: ArrayLike, noise_power: ArrayLike
) -> FloatArray:
    """Return γ = g p / σ², linear (below eq. 7).

    Args:
        channel_gain: g, dimensionless, greater than zero.
        transmit_power: p of the provider, greater than zero, in the unit of the noise power.
        noise_power: σ², greater than zero.

    """
    gain = positive("channel_gain", channel_gain)
    power = positive("transmit_power", transmit_power)
    return gain * (power / positive("noise_power", noise_power))


def from_decibels(decibels: ArrayLike) -> FloatArray:
    """Return the linear power ratio 10^(dB/10); at most 3000 dB either way."""
    bels: FloatArray = within("decibels", decibels, bound=DECIBEL_LIMIT) / 10.0
    ratio: FloatArray = np.power(10.0, bels)
    return ratio


def to_decibels(ratio: ArrayLike) -> FloatArray:
    """Return 10·log₁₀ of a linear power ratio greater than zero."""
    return 10.0 * np.log10(positive("ratio", ratio))


def latency(
    work: ArrayLike, traffic: ArrayLike, compute: ArrayLike, bandwidth: ArrayLike
) -> FloatArray:
    """Return L = a/f + b/B in ms (eq. 7).

    A share of zero work takes no time, whatever it is given; work that is given nothing takes
    forever (infinity).

    Args:
        work: a, TFLOPS·ms.
        traffic: b, MHz·ms.
        compute: f, TFLOPS.
        bandwidth: B, MHz.

    """
    computing = _duration(not_negative("work", work), not_negative("compute", compute))
    sending = _duration(not_negative("traffic", traffic), not_negative("bandwidth", bandwidth))
    return computing + sending


def quality_of_experience(
    latency_budget: ArrayLike,
    work: ArrayLike,
    traffic: ArrayLike,
    compute: ArrayLike,
    bandwidth: ArrayLike,
) -> FloatArray:
    """Return Q = κ − a/f − b/B in ms (eq. 7); −infinity where work is given nothing.

    Args:
        latency_budget: κ, ms.
        work: a, TFLOPS·ms.
        traffic: b, MHz·ms.
        compute: f, TFLOPS.
        bandwidth: B, MHz.

    """
    budget = not_negative("latency_budget", latency_budget)
    return budget - latency(work, traffic, compute, bandwidth)


def _duration(amount: FloatArray, rate: FloatArray) -> FloatArray:
    amount, rate = np.broadcast_arrays(amount, rate)
    with np.errstate(divide="ignore", over="ignore"):
        return np.divide(amount, rate, out=np.zeros(amount.shape), where=amount > 0)[()]
