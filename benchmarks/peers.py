"""The same MAE in four implementations: ours, Hugging Face's, one built from timm's blocks, one built from lightly's modules.

All have the shape of `minimim.create("mae")`, take normalised images (B, C, H, W), hide three patches in four, compare
with normalised pixels, and return the loss. Each is written the way its own users write it.
"""

from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

import minimim
from minimim.encoders import SIZES
from minimim.methods.bases import DECODERS
from minimim.train.loop import compile_parts


@dataclass
class Setting:
    """image_size, patch_size: pixels; size: a name in minimim.encoders.SIZES; batch: images a step, by kind of device;
    times: steps that are timed as one on a CPU."""

    image_size: int
    patch_size: int
    size: str
    batch: dict[str, int]
    times: int = 1

    @property
    def patches(self) -> int:
        return (self.image_size // self.patch_size) ** 2


class Ours(nn.Module):
    """minimim's method, without augmentation."""

    def __init__(self, setting: Setting):
        super().__init__()
        self.method = minimim.methods.create(
            "mae",
            image_size=setting.image_size,
            patch_size=setting.patch_size,
            size=setting.size,
            crop_scale=None,
            flip=False,
        )

    def forward(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        return self.method(images, noise=noise).loss

    def compiled(self) -> nn.Module:
        compile_parts(self.method)
        return self


class HuggingFace(nn.Module):
    """transformers.ViTMAEForPreTraining."""

    def __init__(self, setting: Setting):
        super().__init__()
        from transformers import ViTMAEConfig, ViTMAEForPreTraining

        dim, depth, heads = SIZES[setting.size]
        decoder_dim, decoder_depth, decoder_heads = DECODERS[setting.size]
        config = ViTMAEConfig(
            image_size=setting.image_size,
            patch_size=setting.patch_size,
            hidden_size=dim,
            num_hidden_layers=depth,
            num_attention_heads=heads,
            intermediate_size=4 * dim,
            decoder_hidden_size=decoder_dim,
            decoder_num_hidden_layers=decoder_depth,
            decoder_num_attention_heads=decoder_heads,
            decoder_intermediate_size=4 * decoder_dim,
            layer_norm_eps=1e-6,
            mask_ratio=0.75,
            norm_pix_loss=True,
        )
        self.model = ViTMAEForPreTraining(config)

    def forward(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        return self.model(images, noise=noise).loss

    def compiled(self) -> nn.Module:
        return torch.compile(self)


def target_of(images: Tensor, patch_size: int) -> Tensor:
    """Patches of normalised pixels, for the peers that leave the target to their user: (B, C, H, W) → (B, N, P·P·C)."""
    batch, channels, height, width = images.shape
    rows, cols = height // patch_size, width // patch_size
    patches = images.reshape(batch, channels, rows, patch_size, cols, patch_size)
    patches = patches.permute(0, 2, 4, 3, 5, 1).reshape(batch, rows * cols, -1)  # (B, N, P·P·C)
    mean, variance = patches.mean(dim=-1, keepdim=True), patches.var(dim=-1, keepdim=True)
    return (patches - mean) / (variance + 1e-6) ** 0.5


def gather(tokens: Tensor, ids: Tensor) -> Tensor:
    """The tokens at some places: (B, N, D), (B, K) → (B, K, D)."""
    return torch.gather(tokens, 1, ids.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


class Timm(nn.Module):
    """timm's PatchEmbed and Block; the rest as the MAE paper has it. Parameters carry the official MAE's names."""

    def __init__(self, setting: Setting):
        super().__init__()
        from timm.layers import PatchEmbed
        from timm.models.vision_transformer import Block

        dim, depth, heads = SIZES[setting.size]
        decoder_dim, decoder_depth, decoder_heads = DECODERS[setting.size]
        norm = partial(nn.LayerNorm, eps=1e-6)
        self.patch_size, self.visible = setting.patch_size, setting.patches // 4

        self.patch_embed = PatchEmbed(setting.image_size, setting.patch_size, 3, dim)
        self.cls_token = nn.Parameter(0.02 * torch.randn(1, 1, dim))
        self.pos_embed = nn.Parameter(0.02 * torch.randn(1, 1 + setting.patches, dim), requires_grad=False)
        self.blocks = nn.Sequential(*(Block(dim, heads, qkv_bias=True, norm_layer=norm) for _ in range(depth)))
        self.norm = norm(dim)

        self.decoder_embed = nn.Linear(dim, decoder_dim)
        self.mask_token = nn.Parameter(0.02 * torch.randn(1, 1, decoder_dim))
        table = 0.02 * torch.randn(1, 1 + setting.patches, decoder_dim)
        self.decoder_pos_embed = nn.Parameter(table, requires_grad=False)
        self.decoder_blocks = nn.Sequential(
            *(Block(decoder_dim, decoder_heads, qkv_bias=True, norm_layer=norm) for _ in range(decoder_depth))
        )
        self.decoder_norm = norm(decoder_dim)
        self.decoder_pred = nn.Linear(decoder_dim, 3 * setting.patch_size**2)

    def forward(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        x = self.patch_embed(images) + self.pos_embed[:, 1:]  # (B, N, D)
        batch, patches, _ = x.shape
        noise = torch.rand(batch, patches, device=x.device) if noise is None else noise
        shuffle = noise.argsort(dim=1)
        restore = shuffle.argsort(dim=1)
        x = gather(x, shuffle[:, : self.visible])  # (B, K, D)
        cls = (self.cls_token + self.pos_embed[:, :1]).expand(batch, -1, -1)
        x = self.norm(self.blocks(torch.cat([cls, x], dim=1)))  # (B, 1+K, D)

        x = self.decoder_embed(x)
        hidden = self.mask_token.expand(batch, patches - self.visible, -1)
        tokens = gather(torch.cat([x[:, 1:], hidden.to(x.dtype)], dim=1), restore)  # (B, N, D')
        x = torch.cat([x[:, :1], tokens], dim=1) + self.decoder_pos_embed
        x = self.decoder_pred(self.decoder_norm(self.decoder_blocks(x)))[:, 1:]  # (B, N, P·P·C)

        mask = restore >= self.visible  # True = hidden
        errors = (x - target_of(images, self.patch_size)).square().mean(dim=-1)
        return (errors * mask).sum() / mask.sum()

    def compiled(self) -> nn.Module:
        return torch.compile(self)


class Lightly(nn.Module):
    """lightly's masked encoder and decoder around a timm model; it predicts the hidden patches only."""

    def __init__(self, setting: Setting):
        super().__init__()
        from lightly.models import utils
        from lightly.models.modules import MaskedVisionTransformerDecoderTIMM, MaskedVisionTransformerTIMM
        from timm.models.vision_transformer import VisionTransformer

        dim, depth, heads = SIZES[setting.size]
        decoder_dim, decoder_depth, decoder_heads = DECODERS[setting.size]
        self.utils, self.patch_size = utils, setting.patch_size
        vit = VisionTransformer(
            setting.image_size, setting.patch_size, embed_dim=dim, depth=depth, num_heads=heads, num_classes=0
        )
        self.encoder = MaskedVisionTransformerTIMM(vit)
        self.embed = nn.Linear(dim, decoder_dim)
        self.decoder = MaskedVisionTransformerDecoderTIMM(setting.patches, decoder_dim, decoder_depth, decoder_heads)
        self.pred = nn.Linear(decoder_dim, 3 * setting.patch_size**2)

    def forward(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        utils, batch, length = self.utils, len(images), self.encoder.sequence_length
        if noise is None:
            keep, mask = utils.random_token_mask((batch, length), mask_ratio=0.75, device=images.device)
        else:
            cls = torch.full((batch, 1), -1.0, device=noise.device)  # the lowest noise: never hidden
            order = torch.cat([cls, noise], dim=1).argsort(dim=1)
            keep, mask = order.split([1 + (length - 1) // 4, length - 1 - (length - 1) // 4], dim=1)
        x = self.embed(self.encoder.encode(images, idx_keep=keep))  # (B, 1+K, D')
        tokens = utils.repeat_token(self.decoder.mask_token, (batch, length))
        tokens = utils.set_at_index(tokens, keep, x.type_as(tokens))  # (B, 1+N, D')
        x = self.pred(utils.get_at_index(self.decoder(tokens), mask))  # (B, N−K, P·P·C)
        target = utils.normalize_mean_var(utils.patchify(images, self.patch_size))
        return nn.functional.mse_loss(x, utils.get_at_index(target, mask - 1))

    def compiled(self) -> nn.Module:
        return torch.compile(self)


PEERS = {"minimim": Ours, "transformers": HuggingFace, "timm": Timm, "lightly": Lightly}


def build(setting: Setting) -> tuple[dict[str, nn.Module], dict[str, str]]:
    """The models by name, and for each peer that is not installed the reason."""
    models, absent = {}, {}
    for name, peer in PEERS.items():
        try:
            models[name] = peer(setting)
        except ImportError as error:
            absent[name] = f"{name} is left out: {error}"
    return models, absent
