"""Where a network falls apart: its branches, and the branches within them."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True)
def split_layers(is_exit, arrays):
    """The nest of branches: for each layer the branch it stands in and its lane there (waists: -1); a row each branch.

    A row names the branch around, and the waists before and after; the outermost branch, row 0, has none (-1). Rows of
    one branch stand together, in the order of their layers. A branch is a stretch of `order`, sorted until its turn
    comes; then its waists are found, and what lies between two of them is sorted by component.
    """
    child_first, children = arrays.child_first, arrays.children
    parent_first, parents = arrays.parent_first, arrays.parents
    n = len(is_exit)
    home, lane = np.full(n, -1, np.int64), np.full(n, -1, np.int64)
    rows = np.full((2 * n + 1, 3), -1, np.int64)
    first, last = np.zeros(2 * n + 1, np.int64), np.zeros(2 * n + 1, np.int64)
    last[0] = n
    count = 1
    order, place = np.arange(n), np.arange(n)
    reach, root, size = np.empty(n, np.int64), np.empty(n, np.int64), np.empty(n, np.int64)
    is_waist, ends_lane = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    branch = 0
    while branch < count:
        low, high = first[branch], last[branch]
        for i in range(low, high):
            place[order[i]], home[order[i]] = i, branch
        # Every layer lies on a path from an entry to an exit, so a layer is avoidable exactly if some edge, entry or
        # exit jumps over its place in the topological order.
        last_entry, first_exit = low, high
        for i in range(low, high):
            layer = order[i]
            enters, leaves = parent_first[layer] == parent_first[layer + 1], is_exit[layer]
            for k in range(parent_first[layer], parent_first[layer + 1]):
                enters = enters or home[parents[k]] != branch
            reach[i] = -1
            for k in range(child_first[layer], child_first[layer + 1]):
                if home[children[k]] == branch:
                    reach[i] = max(reach[i], place[children[k]])
                else:
                    leaves = True
            if enters:
                last_entry = i
            if leaves:
                first_exit = min(first_exit, i)
        waists, furthest = 0, -1
        for i in range(low, high):
            is_waist[order[i]] = furthest <= i and last_entry <= i and i <= first_exit
            waists += is_waist[order[i]]
            furthest = max(furthest, reach[i])
        start = low
        for end in range(low, high + 1):
            if end < high and not is_waist[order[end]]:
                continue
            for i in range(start, end):
                root[i], size[i] = i, 0
                for k in range(parent_first[order[i]], parent_first[order[i] + 1]):
                    if home[parents[k]] == branch and place[parents[k]] >= start:
                        a, b = _root(root, place[parents[k]]), _root(root, i)
                        root[max(a, b)] = min(a, b)
            components = 0
            for i in range(start, end):
                root[i] = _root(root, i)
                size[root[i]] += 1
                components += root[i] == i
            if not waists and components == 1:
                lanes = 0
                for layer in order[start:end]:
                    latest = -1
                    for k in range(parent_first[layer], parent_first[layer + 1]):
                        if home[parents[k]] == branch and ends_lane[parents[k]]:
                            latest = max(latest, parents[k])
                    if latest >= 0:
                        lane[layer], ends_lane[latest] = lane[latest], False
                    else:
                        lane[layer] = lanes
                        lanes += 1
                    ends_lane[layer] = True
            else:
                stretch, to = order[start:end].copy(), start
                for i in range(start, end):
                    if root[i] == i:
                        first[count], last[count] = to, to + size[i]
                        rows[count, 0] = branch
                        rows[count, 1] = order[start - 1] if start > low else -1
                        rows[count, 2] = order[end] if end < high else -1
                        count += 1
                        # From here on the place where the next layer of this component goes.
                        size[i], to = to, to + size[i]
                for i in range(start, end):
                    order[size[root[i]]] = stretch[i - start]
                    size[root[i]] += 1
            start = end + 1
        branch += 1
    return home, lane, rows[:count]


@njit(cache=True)
def _root(root, i):
    """The first place of the component that a place is known to belong to."""
    while root[i] != i:
        root[i] = root[root[i]]
        i = root[i]
    return i
