"""A network of your own, from its code to a plan that was run: `python examples/own_model.py`.

The network looks at a picture and listens to a sound. Its two towers never wait for each other, so that one can be on
its way to the cloud while the edge still works on the other.
"""

import torch
from torch import nn

import decc_core.api as decc


def tower(channels: int) -> nn.Sequential:
    """Five convolutions, each of which halves the picture, and the mean of what is left: 128 features."""
    layers: list[nn.Module] = []
    for out in (16, 32, 64, 128, 128):
        layers += [nn.Conv2d(channels, out, 3, stride=2, padding=1), nn.BatchNorm2d(out), nn.ReLU()]
        channels = out
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


class SightAndSound(nn.Module):
    """Two towers and a classifier on top of both."""

    def __init__(self) -> None:
        super().__init__()
        self.sight, self.sound = tower(3), tower(1)
        self.classify = nn.Linear(256, 10)

    def forward(self, picture: torch.Tensor, spectrogram: torch.Tensor) -> torch.Tensor:
        seen = self.sight(picture.float() / 255)
        heard = self.sound(spectrogram)
        return self.classify(torch.cat([seen, heard], dim=1))


torch.manual_seed(0)
network = SightAndSound()
example = (torch.randint(0, 256, (1, 3, 192, 192), dtype=torch.uint8), torch.randn(1, 1, 128, 192))

# 1. The layers, and how long each takes on one core of this machine.
model = decc.extract(network, example)
here = decc.profile(model, device="this machine")
print(model, here, sep="\n", end="\n\n")

# 2. A weak board beside the sensors, this machine as the cloud, and a Wi-Fi link between them. A profile measured on a
#    real board comes from `decc profile --worker` or `decc.load`; here every layer takes its share of 80 ms.
board = here.scaled_to_total(0.080, "this machine's times, scaled to 80 ms in all", "a board")
link = decc.Link.mbps(18.88, rtt_ms=5)

# 3. All strategies, the bound that is proven for every plan, and the reason in words. With 80 ms there is something to
#    see; with 8 ms no split helps, and DECC says so.
found = decc.compare(model, board, here, link)
print(found, end="\n\n")

# 4. Is it true? The plan on two worker processes with the board and the link emulated, every output compared.
report = decc.run(model, found, "decc")
print(report)
assert report.outputs_equal, "the pieces do not give the outputs of the whole network"
