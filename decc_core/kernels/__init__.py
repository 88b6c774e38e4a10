"""The loops that planning spends its time in, compiled by numba; plain arrays in, plain arrays out.

`arrays` is a `network.arrays.Topology`, `times` a `problem.instance.Times`: layers, tensors and ragged lists are
numbered as there, times are integer nanoseconds. Compiled code is kept on disk, so that only the first call on a
machine waits for the compiler. That code is renewed when its own file changes, but not when a file changes whose
functions it calls; so a loop calls only loops of its own file.
"""
