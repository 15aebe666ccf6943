"""The larger of two numbers for compiled loops, NaN if either is.

A comparison loses NaN on one side or the other, and a compiler may not reorder it; the IEEE
operation ``maximum`` keeps NaN and can be computed in any order, so it runs in vector registers.
"""

from __future__ import annotations

from typing import Any

from qoex.kernels import interpreted


def _plain_maximum(a: float, b: float) -> float:
    return b if b > a or b != b else a


def _compiled_maximum() -> Any:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    def typed(_: Any, a: Any, b: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            double = ir.DoubleType()
            function = builder.module.declare_intrinsic(
                "llvm.maximum", [double], ir.FunctionType(double, [double, double])
            )
            return builder.call(function, arguments)

        return types.float64(types.float64, types.float64), generate

    return intrinsic(typed)


# Either way a function of two floats.
maximum: Any = _plain_maximum if interpreted() else _compiled_maximum()
