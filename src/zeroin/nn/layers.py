"""Layers of torch.nn by what they are, for `isinstance`."""

from torch import nn

LAYERS = (nn.Linear, nn.modules.conv._ConvNd)  # that have channels, which a norm can follow
BATCHNORMS = nn.modules.batchnorm._BatchNorm
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
DROPOUTS = nn.modules.dropout._DropoutNd
