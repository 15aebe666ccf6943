"""Appendix A: Algorithm 1 measured, beside what its proof promises.

``bounds`` has the formulas of the proof, ``starts`` where runs begin, ``convergence`` the study
whose table this is, ``rows`` its columns, and ``summary`` reads it.
"""
