"""Export encoders to timm, and evaluate timm's encoders by this library's protocol."""

import inspect

import torch
from torch import Tensor, nn

from minimim.data.views import statistics_for
from minimim.encoders import Encoded, layer_number
from minimim.errors import UserError
from minimim.interop.causes import refuse_other_encoders
from minimim.interop.says import Weights
from minimim.methods import Method

THEIRS = ("cls_token", "pos_embed", "patch_embed", "blocks", "norm")  # not the mask token, nor what embeds other things than images


def to_timm(method: Method) -> Weights:
    """The encoder's weights as timm's `vit_*` models (num_classes=0) load them with strict=True. An encoder without CLS fits a model
    with class_token=False and global_pool=""; `says` of the weights holds other options that the model needs, such as its heads.

    Raises UserError for an encoder that is not a plain ViT.
    """
    encoder = method.encoder
    refuse_other_encoders(encoder)
    weights = {name: tensor.clone() for name, tensor in encoder.state_dict().items() if name.split(".")[0] in THEIRS}
    mean, std = statistics_for(encoder.patch_embed.proj.in_channels)
    image_size = tuple(side * encoder.patch_size for side in encoder.home_grid)
    return Weights(weights, {"image_size": image_size, "heads": encoder.heads, "mean": mean, "std": std})


class TimmEncoder(nn.Module):
    """A timm Vision Transformer with this library's `features`, so that the same protocol can probe it.

    Raw images are normalised with the mean and standard deviation that the timm model was trained with. A model whose norm follows
    the mean of the patches (`fc_norm`) applies it here for pool="mean". Raises UserError for a model that is not a Vision Transformer.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        look = getattr(model, "forward_intermediates", None)
        if not hasattr(model, "blocks") or not look or "return_prefix_tokens" not in inspect.signature(look).parameters:
            raise UserError(f"TimmEncoder wraps timm's Vision Transformers (vit, deit, beit, eva), and {type(model).__name__} is none")
        self.model = model
        self.dim, self.depth = model.num_features, len(model.blocks)

    def features(self, images: Tensor, layer: int = -1, pool: str = "mean") -> Tensor:
        """(B, C, H, W), uint8 or normalised → (B, D) or tokens, from one block's normed output, as `ViT.features` does."""
        if images.dtype == torch.uint8:
            config = self.model.pretrained_cfg
            mean, std = (torch.tensor(config[key], device=images.device).view(-1, 1, 1) for key in ("mean", "std"))
            images = (images / 255 - mean) / std
        how = {"norm": True, "output_fmt": "NLC", "intermediates_only": True, "return_prefix_tokens": True}
        found = self.model.forward_intermediates(images, [layer_number(layer, self.depth)], **how)[0]
        patches, prefix = found if isinstance(found, tuple) else (found, None)  # (B, N, D), (B, 1 or more, D)
        has_cls = getattr(self.model, "cls_token", None) is not None
        pooled = Encoded(patches, cls=prefix[:, 0] if has_cls else None).pooled(pool)  # (B, D), or (B, N, D)
        norm = getattr(self.model, "fc_norm", None)
        return norm(pooled) if norm and pool == "mean" else pooled
