"""Yours beside what was expected."""

import torch
from torch import Tensor


def beside(yours: Tensor, expected: Tensor, what: str = "") -> None:
    """Draw two pictures, (H, W) or (H, W, 3) of one size, in one scale of grey or colour. what: what they show."""
    import matplotlib.pyplot as plt

    pictures = torch.stack([yours, expected]).detach().cpu().double()
    low, high = pictures[1].min(), pictures[1].max()
    pictures = ((pictures - low) / (high - low).clamp(min=1e-12)).clamp(0, 1)
    height, width = pictures.shape[1:3]
    figure, axes = plt.subplots(1, 2, figsize=(7, min(3, 3.3 * height / width) + 0.7))
    for ax, picture, title in zip(axes, pictures, ("yours", "expected"), strict=True):
        ax.imshow(picture.numpy(), vmin=0, vmax=1, cmap="gray")
        ax.set(title=title, xticks=[], yticks=[])
        if picture.ndim == 2:  # a line between one place and the next
            ax.vlines([x - 0.5 for x in range(1, width)], -0.5, height - 0.5, color="gray", linewidth=0.5)
            ax.hlines([y - 0.5 for y in range(1, height)], -0.5, width - 0.5, color="gray", linewidth=0.5)
    figure.suptitle(what)
    plt.show()
    plt.close(figure)
