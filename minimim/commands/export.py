"""minimim export"""

from dataclasses import dataclass

from minimim import interop
from minimim.commands.weights import opened
from minimim.config import option

OPENED = {  # how the other library opens the folder, in Python
    "timm": 'timm.create_model("local-dir:{out}", pretrained=True)',
    "huggingface": 'transformers.ViTModel.from_pretrained("{out}", add_pooling_layer=False)',
}


@dataclass
class Export:
    """Write a trained encoder as a folder that timm or Hugging Face's transformers open by themselves. Only plain Vision Transformers can go:
    their encoders compute the same there."""

    checkpoint: str = option("", "a run's folder, or a .safetensors file (runs/pretrain)")
    to: str = option("timm", "the library that shall open it: timm or huggingface")
    out: str = option("", "the folder to write (exported-timm or exported-huggingface)")

    def run(self) -> int:
        """Write the folder, and print the line of Python that opens it."""
        out = self.out or f"exported-{self.to}"
        interop.to_folder(opened(self.checkpoint or "runs/pretrain").method, out, self.to)
        print(f"the encoder is in {out}; to open it: {OPENED[self.to].format(out=out)}")
        return 0
