"""Appendix A: Algorithm 1 measured, beside what its proof promises.

``bounds`` has the formulas of the proof, ``starts`` where runs begin, ``convergence`` the study
whose table this is, and ``rows`` its columns.
"""
