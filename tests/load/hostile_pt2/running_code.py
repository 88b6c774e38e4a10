"""The ways in which `torch.export.load` runs what stands in a file."""

from __future__ import annotations

import json
import pickle

from tests.load.foreign_files import Marker
from tests.load.hostile_pt2.base import (
    CONSTANTS,
    NETWORK,
    SAMPLES,
    WEIGHTS,
    changed,
    disarmed,
    packed,
    pickled,
    refused,
    source_code,
)


@disarmed
def pickled_sample_inputs(parts, marker):
    return packed(parts | {SAMPLES: pickled(marker)})


@disarmed
def sample_inputs_of_plain_pickle(parts, marker):
    return packed(parts | {SAMPLES: pickle.dumps(Marker(marker))})


@disarmed
def guards_that_are_code(parts, marker):
    return changed(parts, NETWORK, lambda found: found.update(guards_code=[source_code(marker)]))


@disarmed
def argument_names_that_are_code(parts, marker):
    def change(found):
        found["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"] = [f"x={source_code(marker)}"]

    return changed(parts, NETWORK, change)


@disarmed
def sources_that_name_functions(parts, marker):
    def change(found):
        for node in found["graph_module"]["graph"]["nodes"]:
            node["metadata"] |= {"source_fn_stack": "a,torch.os.system", "custom": "{", "from_node": "[1]"}

    return changed(parts, NETWORK, change)


@disarmed
def numbers_and_ranges_that_nobody_reads(parts, marker):
    def change(found):
        expression = {"as_expr": {"expr_str": source_code(marker)}}
        found["graph_module"]["graph"] |= {"sym_int_values": {"s0": expression}, "sym_bool_values": {"b": expression}}
        found["range_constraints"] = {source_code(marker): {"min_val": 1, "max_val": 9}}

    return changed(parts, NETWORK, change)


@refused
def pickled_weights(parts, marker):
    def change(found):
        found["config"]["conv.weight"]["use_pickle"] = True

    return changed(parts | {"data/weights/weight_0": pickled(marker)}, WEIGHTS, change)


@refused
def an_opaque_constant(parts, marker):
    def change(found):
        found["config"]["evil"] = {
            "path_name": "opaque_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None,
        }  # fmt: skip

    return changed(parts | {"data/constants/opaque_obj_0": pickle.dumps(Marker(marker))}, CONSTANTS, change)


@refused
def a_custom_object(parts, marker):
    def change(found):
        found["config"]["evil"] = {
            "path_name": "custom_obj_0", "is_param": False, "use_pickle": True, "tensor_meta": None,
        }  # fmt: skip

    return changed(parts | {"data/constants/custom_obj_0": pickled(marker)}, CONSTANTS, change)


@refused
def a_shape_that_is_code(parts, marker):
    def change(found):
        expression = {"as_expr": {"expr_str": source_code(marker), "hint": {"as_int": 8}}}
        found["graph_module"]["graph"]["tensor_values"]["image"]["sizes"][3] = expression

    return changed(parts, NETWORK, change)


@refused
def a_layer_name_that_is_code(parts, marker):
    code = f"image={source_code(marker)}"
    return packed(parts | {NETWORK: parts[NETWORK].replace(b'"image"', json.dumps(code).encode())})


@refused
def a_weight_name_that_is_code(parts, marker):
    code = json.dumps(f'a"), open("{marker}", "w"), str("b').encode()
    both = {name: parts[name].replace(b'"conv.weight"', code) for name in (NETWORK, WEIGHTS)}
    return packed(parts | both)
