"""What to do instead, as lines that a person can copy: the same text in the page and on the command line.

No name of a sent file ever stands in these lines: they are code, and names are hostile until proven otherwise.
"""

from __future__ import annotations

PT2 = """\
# model: your nn.Module with its weights; example_inputs: a tuple of tensors, as (torch.randn(1, 3, 224, 224),)
import torch
program = torch.export.export(model.eval(), example_inputs)
torch.export.save(program, "model.pt2")
"""
ONNX = """\
# model: your nn.Module with its weights; example_inputs: a tuple of tensors, as (torch.randn(1, 3, 224, 224),)
import torch
torch.onnx.export(model.eval(), example_inputs, "model.onnx", external_data=False)
"""
WEIGHTS = """\
# model: your nn.Module; the file then holds tensors and nothing else, for a network that DECC knows by name
import torch
torch.save(model.state_dict(), "weights.pt")
"""
ONNX_FROM_TEXT = """\
import onnx, pathlib
onnx.save(onnx.parser.parse_model(pathlib.Path("model.onnxtxt").read_text()), "model.onnx")
"""
ONNX_FROM_PBTXT = """\
import onnx
onnx.save(onnx.load("model.pbtxt", format="textproto"), "model.onnx")
"""
ONNX_FROM_JSON = """\
import onnx
onnx.save(onnx.load("model.json", format="json"), "model.onnx")
"""
KERAS = """\
# in the program that made the network (Keras 3)
model.export("model.onnx", format="onnx")
"""
TENSORFLOW = """\
pip install tf2onnx
python -m tf2onnx.convert --saved-model FOLDER --output model.onnx
"""
TFLITE = """\
pip install tf2onnx
python -m tf2onnx.convert --tflite model.tflite --output model.onnx
"""
ORIGINAL = "# in the PyTorch program that the file was made from\n" + PT2
