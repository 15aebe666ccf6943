"""qoex, the QoE exchange: a market engine for edge LLM services.

The public names below are loaded when they are first used, so that importing the package is free::

    import qoex

    market = qoex.read_market("market.toml")
    solution = qoex.solve(market)
    print(qoex.certify(market, solution).sentence())
"""

import lazy_loader

__version__ = "0.1.0"

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
