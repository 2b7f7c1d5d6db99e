"""minimim presets"""

from dataclasses import asdict, dataclass

from minimim.presets import PRESETS


@dataclass
class Presets:
    """List the presets: named runs for `minimim pretrain --preset NAME`, with their data, sizes and schedule."""

    def run(self) -> int:
        """Print a paragraph for each preset."""
        for name, preset in PRESETS.items():
            options = ", ".join(f"{option}={value}" for option, value in preset.options.items()) or "the method's own"
            train = ", ".join(f"{field}={asdict(preset.train)[field]:g}" for field in ("epochs", "batch_size", "lr"))
            print(f"{name}\n  {preset.about}")
            print(f"  {preset.method} {preset.size}/{preset.patch_size} on {preset.data}, images of {preset.image_size} pixels; options: {options}")
            print(f"  {train}\n")
        return 0
