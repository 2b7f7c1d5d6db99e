"""Encoders of timm and torchvision, by name, with the protocol of this library: as frozen teachers, and for probing. The patches of a
ViT are its patch tokens, those of any other network the places of its last map.

Images are resized to the size, and normalised with the mean and standard deviation, that the weights were trained with. So the grid
is always their own, `home_grid`, for images of every size.
"""

from collections.abc import Sequence
from difflib import get_close_matches

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from minimim.data.views import Inputs, as_inputs, statistics
from minimim.encoders.encoded import Encoded, asked_for, layer_number
from minimim.errors import UserError

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # mean and standard deviation if the weights do not state theirs
SEEN = {  # a part of the weights' name, and the data that such weights were trained on
    "in21k": "ImageNet-21k and its labels",
    "in22k": "ImageNet-22k and its labels",
    "in12k": "ImageNet-12k and its labels",
    "openai": "400 million pictures and their captions",
    "laion": "LAION's pictures and their captions",
    "datacomp": "DataComp's pictures and their captions",
    "webli": "WebLI's pictures and their captions",
    "swag": "3.6 billion pictures and their hashtags",
    "lvd142m": "142 million pictures, no labels",
    "dino": "ImageNet-1k, no labels",
    "mae": "ImageNet-1k, no labels",
    "in1k": "ImageNet-1k and its labels",
    "imagenet1k": "ImageNet-1k and its labels",
}


def foreign(name: str) -> "Foreign":
    """The encoder "timm:NAME" or "torchvision:NAME", with random weights: `read_weights` loads the trained ones.

    Raises UserError for an unknown name, for a network without patch tokens or a last map, and if timm is needed but not installed.
    """
    library, _, own = name.partition(":")
    if library not in KINDS or not own:
        raise UserError(f'an encoder of another library is "timm:NAME" or "torchvision:NAME", not "{name}"')
    return KINDS[library](own).eval()


def renormalized(images: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Images of this library, uint8 or normalised, (B, C, H, W) → (B, C', H, W), normalised with another mean and standard deviation of C'
    channels each; a grey channel is repeated. Raises UserError if the number of channels is neither 1 nor C'."""
    channels = images.shape[1]
    if channels not in (1, len(mean)):
        raise UserError(f"the teacher takes images of {len(mean)} channels, and these have {channels}: choose a teacher for such images")
    if images.dtype == torch.uint8:
        shown = images / 255
    else:
        own_mean, own_std = statistics(images)
        shown = images * own_std + own_mean  # in [0, 1]
    shown = shown.expand(-1, len(mean), -1, -1)  # (B, C', H, W)
    return torch.cat([(shown[:, c : c + 1] - mean[c]) / std[c] for c in range(len(mean))], dim=1)


class Foreign(nn.Module):
    """An encoder from another library; a subclass implements how it is built, how its weights are loaded, and what its last output is.

    name: in its library. model: the network. size: (H, W) in pixels to which images are resized. mean, std: one number for each
    channel. saw: the data that its weights were trained on, in words. Raises UserError for a network without patch tokens or a last map.
    """

    norm = pos_embed = mask_token = cls_token = None
    prefix, channels_last = 0, False  # tokens before the patches; whether the maps between its blocks are (B, rows, cols, D)

    def __init__(self, name: str, model: nn.Module, size: tuple[int, int], mean, std, saw: str):
        super().__init__()
        self.name, self.model, self.size, self.mean, self.std, self.saw = name, model, tuple(size), tuple(mean), tuple(std), saw
        self.depth = max(1, len(self.blocks))
        try:
            with torch.no_grad():
                first = self.eval().encoded(self.look(torch.zeros(1, len(self.mean), *self.size)))
        except (RuntimeError, AttributeError, ValueError, TypeError) as error:
            raise UserError(f"{name} gives neither patch tokens nor a map that could be a target ({error}): choose another network") from error
        self.dim, self.home_grid = first.patches.shape[-1], first.grid
        self.patch_size = self.size[0] // self.home_grid[0]

    @property
    def blocks(self) -> list[nn.Module]:
        """Its blocks or stages, shallow to deep."""
        for path in ("blocks", "encoder.layers", "stages", "features", "layers"):
            try:
                return list(self.model.get_submodule(path).children())
            except AttributeError:
                continue
        return [stage for name, stage in self.model.named_children() if name.startswith("layer")]  # of a ResNet

    def grid(self, inputs: Tensor | Inputs) -> tuple[int, int]:
        """(rows, cols), the same for images of every size."""
        return self.home_grid

    def look(self, images: Tensor) -> Tensor:
        """Its last output for images of its own size and normalisation: tokens (B, prefix + N, D), or a map (B, D, rows, cols)."""
        raise NotImplementedError

    def last_norm(self, tokens: Tensor) -> Tensor:
        """Its last norm, applied to the tokens of earlier blocks."""
        return tokens

    def project(self, tokens: Tensor) -> Tensor:
        """A projection of normalised tokens, by default none."""
        return tokens

    def encoded(self, answer: Tensor) -> Encoded:
        """Tokens or a map as an Encoded."""
        if answer.dim() == 4:
            grid = tuple(answer.shape[-2:])
            return Encoded(answer.flatten(2).transpose(1, 2), maps=(answer,), grid=grid)  # (B, N, D)
        if answer.dim() != 3:
            raise ValueError(f"an answer of shape {tuple(answer.shape)}")
        patches = answer[:, self.prefix :]  # (B, N, D)
        rows = round((patches.shape[1] * self.size[0] / self.size[1]) ** 0.5)
        if rows * (patches.shape[1] // rows) != patches.shape[1]:
            raise ValueError(f"{patches.shape[1]} tokens make no grid")
        return Encoded(patches, answer[:, 0] if self.prefix else None, grid=(rows, patches.shape[1] // rows))

    def fitted(self, images: Tensor) -> Tensor:
        """Images of any size → with the mean, standard deviation and size that its weights were trained with, (B, C', H', W')."""
        images = renormalized(images, self.mean, self.std).to(next(self.parameters()).dtype)
        if tuple(images.shape[-2:]) == self.size:
            return images
        return F.interpolate(images, self.size, mode="bicubic", antialias=True)  # (B, C, H', W')

    def forward(self, inputs: Tensor | Inputs, mask=None, want: str | Sequence[str] = ()) -> Encoded:
        """Encode whole images, raw or normalised, (B, C, H, W). want: "layers" for the output of every block.

        Raises UserError for a mask or an attention map, neither of which it supports.
        """
        if mask is not None:
            raise UserError(f"{self.name} sees whole images and cannot be masked: it can be a teacher, not a student")
        want_layers, number = asked_for(want, self.depth)
        if number is not None:
            raise UserError(f"{self.name} gives no attention maps: choose an encoder of minimim's own")
        kept: list[Tensor] = []
        hooks = [block.register_forward_hook(lambda _, __, answer: kept.append(answer)) for block in self.blocks] if want_layers else []
        try:
            last = self.encoded(self.look(self.fitted(as_inputs(inputs)["image"])))
        finally:
            for hook in hooks:
                hook.remove()
        if want_layers:
            last.layers = [*map(self.between, kept[:-1]), last]
        return last

    def between(self, answer: Tensor) -> Encoded:
        """The output of a block before the last one, as an Encoded."""
        if answer.dim() == 4:
            return self.encoded(answer.permute(0, 3, 1, 2) if self.channels_last else answer)
        return self.encoded(self.project(self.last_norm(answer)))

    def features(self, images: Tensor | Inputs, layer: int = -1, pool: str = "mean") -> Tensor:
        """One vector for each image, from one block's output: (B, C, H, W) → (B, D), or (B, N, D) for pool="patches"."""
        number = layer_number(layer, self.depth)
        if number == self.depth - 1:
            return self.forward(images).pooled(pool)
        return self.forward(images, want=("layers",)).layers[number].pooled(pool)

    def read_weights(self) -> None:
        """Load the trained weights, from this machine or by the library's download. Raises UserError if neither is possible."""
        try:
            self.model.load_state_dict(self.trained())
        except Exception as error:  # offline, each library and each network raises another error
            raise UserError(f"the weights of {self.name} could not be read ({error}): connect to the network once, so that they are kept here") from error

    def trained(self) -> dict[str, Tensor]:
        """The state of the trained network."""
        raise NotImplementedError


class Timm(Foreign):
    """A network of timm. The patch tokens of a CLIP go through its projection into the space of captions, as in EVA (arXiv 2211.07636);
    those of other networks are the output of the last norm."""

    def __init__(self, name: str):
        import_timm()
        from timm.data import resolve_model_data_config

        self.how = {} if is_clip(name) else {"num_classes": 0}
        model = self.built(name)
        config = resolve_model_data_config(model)
        self.prefix = getattr(model, "num_prefix_tokens", 0)
        self.channels_last = getattr(model, "output_fmt", "NCHW") == "NHWC"
        self.clip = is_clip(name) and isinstance(getattr(model, "head", None), nn.Linear)
        tag = (model.pretrained_cfg or {}).get("tag") or "no tag"
        super().__init__(name, model, config["input_size"][1:], config["mean"], config["std"], seen(name, "timm", tag))

    def built(self, name: str, **more) -> nn.Module:
        """The network, with random weights unless pretrained=True. Raises UserError for an unknown name."""
        timm = import_timm()
        try:
            return timm.create_model(name, **self.how, **{"pretrained": False, **more})
        except RuntimeError as error:
            if more:
                raise
            raise no_such("timm", name, timm.list_models(), f" ({error})") from error

    def look(self, images: Tensor) -> Tensor:
        """Its tokens, or its last map."""
        answer = self.model.forward_features(images)
        if answer.dim() == 4 and self.channels_last:
            return answer.permute(0, 3, 1, 2)  # (B, D, rows, cols)
        return self.project(answer)

    def last_norm(self, tokens: Tensor) -> Tensor:
        """Its norm."""
        return self.model.norm(tokens) if hasattr(self.model, "norm") else tokens

    def project(self, tokens: Tensor) -> Tensor:
        """A CLIP's linear map into the space of captions."""
        return self.model.head(tokens) if self.clip and tokens.dim() == 3 else tokens

    def trained(self) -> dict[str, Tensor]:
        """From timm's cache or the Hugging Face hub."""
        return self.built(self.name, pretrained=True).state_dict()


class Torchvision(Foreign):
    """A network of torchvision: a ViT, or a network that ends in average pooling, whose input is the last map."""

    def __init__(self, name: str):
        from torchvision import models

        known = models.list_models(models)  # classifiers only: building a detector would download its backbone
        if name not in known:
            raise no_such("torchvision", name, known)
        model, weights = models.get_model(name, weights=None), models.get_model_weights(name).DEFAULT
        way = weights.transforms()
        self.prefix = 1 if hasattr(model, "class_token") else 0
        self.channels_last = hasattr(model, "permute")  # a Swin
        size = (way.crop_size[0],) * 2 if hasattr(way, "crop_size") else (224, 224)
        mean, std = (getattr(way, key, usual) for key, usual in zip(("mean", "std"), IMAGENET, strict=True))
        super().__init__(name, model, size, mean, std, seen(name, "torchvision", weights.name))

    def look(self, images: Tensor) -> Tensor:
        """Its tokens, or the input of its average pooling."""
        if self.prefix:
            x = self.model._process_input(images)  # (B, N, D)
            return self.model.encoder(torch.cat([self.model.class_token.expand(len(x), -1, -1), x], dim=1))  # (B, 1+N, D)
        kept = []
        hook = self.model.avgpool.register_forward_pre_hook(lambda _, given: kept.append(given[0]))
        try:
            self.model(images)
        finally:
            hook.remove()
        return kept[0]

    def last_norm(self, tokens: Tensor) -> Tensor:
        """A ViT's norm."""
        return self.model.encoder.ln(tokens)

    def trained(self) -> dict[str, Tensor]:
        """From torchvision's cache or its servers, with their checksum."""
        from torchvision import models

        return models.get_model_weights(self.name).DEFAULT.get_state_dict(progress=False, check_hash=True)


KINDS = {"timm": Timm, "torchvision": Torchvision}


def import_timm():
    """The module timm. Raises UserError if it is not installed."""
    try:
        import timm
    except ImportError as error:
        raise UserError("timm is not installed, and the teacher is one of its networks: pip install timm, or name one of torchvision's") from error
    return timm


def is_clip(name: str) -> bool:
    """Whether a network of timm is a CLIP that still has its projection: it was not fine-tuned to classes."""
    return "_clip_" in name and "_ft_" not in name


def no_such(library: str, name: str, known: list[str], why: str = "") -> UserError:
    """The error for a network that a library does not have, with the most similar name that it has."""
    near = get_close_matches(name, known, n=1, cutoff=0.4)
    return UserError(f"{library} has no network '{name}'{why}" + (f": did you mean '{near[0]}'?" if near else ""))


def seen(name: str, library: str, tag: str) -> str:
    """The data that weights were trained on, in words, as far as their tag states it."""
    words = tag.lower()
    kinds = [told for part, told in SEEN.items() if part in words and not (part == "in1k" and "imagenet1k" in words)]
    return f"{name} of {library} with the weights {tag}: {', then '.join(kinds) or 'what they have seen stands in their description'}"
