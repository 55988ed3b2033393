"""Groups of torch.nn layers, for `isinstance`."""

from torch import nn

LAYERS = (nn.Linear, nn.modules.conv._ConvNd)  # layers with channels, which a norm can follow
BATCHNORMS = nn.modules.batchnorm._BatchNorm
NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
DROPOUTS = nn.modules.dropout._DropoutNd
