"""Imported first, it lets kernels run as ordinary Python, without a compiler and its threads."""

from qoex import kernels

kernels.interpret()
