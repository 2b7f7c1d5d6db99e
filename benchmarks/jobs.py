"""The jobs of the capstone: each is a preset, the stages that it goes through, and the kind of device that it is for."""

from dataclasses import asdict, dataclass, replace
from functools import cache

from minimim import methods
from minimim.data import available
from minimim.presets import Preset, preset
from minimim.train.processes import slow_bf16
from minimim.train.state import plain

STAGES = {  # in their order
    "pretrain": "pretraining without labels",
    "probe": "linear probe and k-NN on features extracted once",
    "floors": "the same on a random encoder and on raw pixels",
    "official": "the linear probe as papers do it",
    "finetune": "fine-tuning the pretrained encoder",
    "scratch": "fine-tuning a random encoder in the same way",
}
FLOORS = ("random_init", "raw_pixels")
TRAINED = ("train", "probe", "finetune")  # the fields of a preset that say how something is trained
LABELLED = 10_000  # of the job on a CPU, drawn once
SHORT = 100  # epochs of a question's run
MAE = {"mask_ratio": 0.75, "decoder_depth": 4, "normalize_target": True}  # a question changes one of these
QUESTIONS = {
    "method": {"MAE": {}, "SimMIM": {"method": "simmim"}, "data2vec": {"method": "data2vec"}, "iBOT": {"method": "ibot"}},
    "mask ratio": {f"{ratio:.0%}": {"mask_ratio": ratio} for ratio in (0.25, 0.5, 0.75, 0.85, 0.95)},
    "decoder depth": {f"{depth} block{'s' * (depth > 1)}": {"decoder_depth": depth} for depth in (1, 2, 4, 8)},
    "target": {"normalised pixels": {"normalize_target": True}, "raw pixels": {"normalize_target": False}},
}
EQUAL = (
    f"equal in all runs: the ViT-T/4, the images, {SHORT} epochs, the batch, the probes and their labels. The MAEs share the rates of "
    "preset cifar10; SimMIM, data2vec and iBOT each have their recipe's own lr, betas, clip, warmup, weight decay and crops, "
    "none of them tuned. A step costs more in some than in others: see images_per_s"
)
GET = {  # how to get a set that is not on this machine
    "cifar10": "python -c \"import minimim; minimim.data.load('cifar10')\" downloads it",
    "tiny-imagenet-50": "MINIMIM_PACKS must name the folder that holds its pack",
}


@dataclass(frozen=True)
class Job:
    """A job. name: of its folder. device: cpu or cuda. floors: those that it measures. labels: how many the evaluation sees, 0 for
    all. at: for a question's run, its setting in a word."""

    name: str
    base: Preset
    device: str = "cuda"
    stages: tuple[str, ...] = tuple(STAGES)
    floors: tuple[str, ...] = FLOORS
    labels: int = 0
    seed: int = 0
    at: str = ""

    @property
    def file(self) -> str:
        """The name of its results file, without the kind of device."""
        return "capstone-questions" if self.at else self.name.removesuffix("-cpu")

    @property
    def settings(self) -> dict:
        """Its preset as results keep it."""
        words = ("about", "needs", "expected")
        return plain({name: value for name, value in asdict(self.base).items() if name not in words})

    def why_not(self, device: str) -> str:
        """Why it cannot be done here; empty when it can."""
        if self.device != device:
            return "needs a GPU" if self.device == "cuda" else "for --device cpu"
        if not here(self.base.data):
            return f"needs {self.base.data}, which is not on this machine: {GET[self.base.data]}"
        return ""


@cache
def here(name: str) -> bool:
    """Whether both parts of a set are on this machine."""
    return all(available(name, split) for split in ("train", "test"))


def jobs(seeds=(0, 1, 2), smoke: bool = False) -> list[Job]:
    """All there is to do, in the order in which it is done. The questions take every seed, the others the first."""
    cifar10, seed = preset("cifar10"), seeds[0]
    precision = "auto" if slow_bf16("cpu") else "bf16"
    found = [
        Job("cifar10-cpu", changed(preset("cifar10-cpu"), precision=precision), device="cpu", labels=LABELLED, seed=seed),
        Job("cifar10", cifar10, seed=seed),
        Job("tiny-imagenet-50", replace(preset("tiny-imagenet"), data="tiny-imagenet-50"), seed=seed),
    ]
    found += [question(at, seed, floors=seed == seeds[0]) for seed in seeds for at in settings().items()]
    return [small(job) for job in found] if smoke else found


def changed(base: Preset, **changes) -> Preset:
    """A preset with the same change in each stage that trains."""
    return replace(base, **{stage: replace(getattr(base, stage), **changes) for stage in TRAINED})


def settings() -> dict[str, dict]:
    """Each different run of the questions once: what is special about it → the method, and its options."""
    return {special(change): change for choices in QUESTIONS.values() for change in choices.values()}


def special(change: dict) -> str:
    """A run's difference from the MAE that all questions start from, in a word."""
    if "method" in change:
        return change["method"]
    changed = [f"{name}={value}" for name, value in change.items() if MAE[name] != value]
    return "-".join(["mae", *changed])


def question(setting: tuple[str, dict], seed: int, floors: bool) -> Job:
    """One short run on CIFAR-10. floors: whether the plain run of each method measures those of its encoder."""
    at, change = setting
    base = preset("cifar10")
    how = {"epochs": SHORT, "batch_size": base.train.batch_size, "compile": base.train.compile}
    if "method" in change:
        name = change["method"]
        base = replace(base, method=name, options={}, train=replace(methods.create(name).defaults, **how))
    else:
        base = replace(base, options=MAE | change, train=replace(base.train, **how))
    floors = (FLOORS if at == "mae" else FLOORS[:1]) if floors and at == base.method else ()
    stages = ("pretrain", "probe") + ("floors",) * bool(floors)
    return Job(f"{at}-seed{seed}", base, stages=stages, floors=floors, seed=seed, at=at)


def small(job: Job) -> Job:
    """The same on a few small scenes, on the CPU, in a second or two."""
    base = replace(job.base, data="scenes", count=100, image_size=20, patch_size=4, size="micro")
    base = changed(base, epochs=0.5, batch_size=32, compile=False, log_every=1)
    return replace(job, name=f"{job.name}-smoke", base=base, device="cpu", labels=job.labels and 90)
