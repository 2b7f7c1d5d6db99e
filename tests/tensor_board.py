"""What a run wrote for TensorBoard, as TensorBoard's own reader has it."""

import io

import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from minimim.train.board import FOLDER


def read_back(out):
    """TensorBoard's own view of a run: ({curve: [(step, value)]}, [(step, PIL picture)])."""
    seen = EventAccumulator(str(out / FOLDER), size_guidance={"scalars": 0, "images": 0})
    seen.Reload()
    curves = {tag: [(event.step, event.value) for event in seen.Scalars(tag)] for tag in seen.Tags()["scalars"]}
    shots = [(event.step, event.encoded_image_string) for tag in seen.Tags()["images"] for event in seen.Images(tag)]
    return curves, [(step, Image.open(io.BytesIO(content))) for step, content in shots]


def curves_of(lines):
    """The same curves from the lines of metrics.jsonl, in fp32 as TensorBoard keeps them."""
    found = {}
    for line in lines:
        for name, value in line.items():
            if name != "step":
                found.setdefault(name, []).append((line["step"], torch.tensor(value, dtype=torch.float32).item()))
    return found
