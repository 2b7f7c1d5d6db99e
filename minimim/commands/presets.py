"""minimim presets"""

from dataclasses import asdict, dataclass

from minimim.presets import PRESETS, STAGES, Needs, Preset

TELLING = {  # the settings of each stage that are printed
    "pretrain": ("epochs", "batch_size", "lr"),
    "probe": ("epochs", "batch_size", "lr", "crop"),
    "finetune": ("epochs", "batch_size", "lr", "layer_decay", "mixup", "cutmix"),
}


@dataclass
class Presets:
    """List the presets: named runs for `minimim pretrain|probe|finetune --preset NAME`, with their data, sizes and schedules,
    and what each stage needs. `--fast` shortens any of them to about a minute on a CPU."""

    def run(self) -> int:
        """Print a paragraph for each preset."""
        for name, preset in PRESETS.items():
            options = ", ".join(f"{option}={value}" for option, value in preset.options.items()) or "the method's own"
            print(f"{name}\n  {preset.about}")
            print(f"  {preset.method} {preset.size}/{preset.patch_size} on {preset.data}, images of {preset.image_size} pixels; options: {options}")
            for stage in STAGES:
                print(f"  {stage:9} {self.schedule(preset, stage)}")
                if stage in preset.needs:
                    print(f"            {self.cost(preset.needs[stage])}")
                if stage in preset.expected:
                    print(f"            expect: {preset.expected[stage]}")
            print()
        print("an estimate is computed from the number of operations in a run and has not been measured; see minimim/presets.py")
        return 0

    def schedule(self, preset: Preset, stage: str) -> str:
        """The most important settings."""
        config = asdict(preset.train if stage == "pretrain" else getattr(preset, stage))
        return ", ".join(f"{name}={config[name]:g}" for name in TELLING[stage])

    def cost(self, needs: Needs) -> str:
        """Memory and time, and how they are known."""
        times = ", ".join(f"{minutes:g} min on {device}" for device, minutes in needs.minutes.items())
        return f"{'measured' if needs.measured else 'estimate'}: {needs.memory:g} GiB, {times}"
