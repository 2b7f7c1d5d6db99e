"""Two small runs for the lesson on targets: a MAGE and the pictures that it samples, and how a momentum teacher's targets change in a run.

    python benchmarks/targets.py                    both, seed 0: about a quarter of an hour of one CPU core
    python benchmarks/targets.py --only mage
    python benchmarks/targets.py --smoke            tiny sizes, to see that it works

MAGE: micro/4 on the scenes, with crops of at least 0.8 of the image, because pictures are wanted and not features. How near its samples are to
scenes is a Fréchet distance: both sets of pictures are encoded by the bundled MAE (mean of the patches), a normal distribution is fitted
to each, and the distance of the two is |μ − μ'|² + tr(C + C' − 2 (C C')^½), smaller being nearer. Four floors stand beside it: other real
scenes; what the tokenizer makes of real scenes, which is the best that any model of its tokens can reach; tokens that are drawn
independently, each with its frequency at its place; and noise of the right mean and standard deviation.
The teacher: data2vec, whose target is normalised for each token. Every few steps the variance of the target over tokens, the part of it
that the place alone explains, and the error of the prediction on hidden patches.
A run that is in the results file is not made again. Pictures and maps lie beside it, in targets-cpu.npz.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from machine import RESULTS, kind, write

import minimim
from minimim import data, methods
from minimim.data.views import denormalize, normalize
from minimim.draws import mix
from minimim.methods.mage import sample
from minimim.methods.teacher import Seen
from minimim.precision import full_precision
from minimim.show.pictures import grey_out
from minimim.train import train
from minimim.train.processes import pick_device, precision

RUNS = {  # job → method, its options, steps, learning rate for 256 images
    "mage": ("mage", {"codebook": 256, "crop_scale": (0.8, 1.0)}, 2400, 4e-3),
    "teacher": ("data2vec", {}, 600, 2e-3),
}
BATCH, IMAGES, COMPARED, SAMPLED = 64, 10_000, 4_000, 1_000
STEPS, FRAMES, STRIP = 20, (1, 5, 10, 14, 17, 19, 20), 6  # of sampling; those that are kept; how many samples are
WATCHED, KEPT = 20, (0, 100, 600)  # steps between two looks at the teacher; those of which maps are kept


def trained(job: str, images, seed: int, steps: int, device, dtype: str, look=None):
    """A method of RUNS after so many steps, and its config. look: called as a forward hook."""
    name, options, _, lr = RUNS[job]
    torch.manual_seed(mix(seed))
    method = methods.create(name, **options)
    if look:
        method.register_forward_hook(look)
    config = replace(method.defaults, epochs=steps * BATCH / len(images), batch_size=BATCH, seed=seed, lr=lr, log_every=max(1, steps // 60))
    run = train(method, images, replace(config, device=str(device), precision=dtype), bar=False)
    row = {"method": name, "options": options, "seed": seed, "steps": steps, "batch": BATCH, "lr": lr, "precision": dtype, "seconds": round(run.seconds, 1)}
    return method.eval(), row | {"loss": [[line["step"], round(line["loss"], 4)] for line in run.history]}


def strip(method, n: int, seed: int, device) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures of n samples after some of the steps of sampling, with hidden places grey, uint8 (frames, n, C, H, W), and which were
    hidden, (frames, n, N) bool."""
    encoder, given = method.encoder, []
    encode = encoder.encode_ids
    encoder.encode_ids = lambda ids, mask, grid: (given.append((ids, mask.hidden)), encode(ids, mask, grid))[1]
    last = sample(method, n, STEPS, torch.Generator(device).manual_seed(seed))
    del encoder.encode_ids  # the class's own again
    frames, hidden = [], []
    for step in FRAMES:
        ids, there = given[step] if step < STEPS else (None, torch.zeros_like(given[0][1]))
        pictures = last if ids is None else denormalize(encoder.tokenizer.paint(ids))
        frames.append(grey_out(pictures.cpu(), there.cpu(), encoder.patch_size))
        hidden.append(there.cpu())
    return torch.stack(frames), torch.stack(hidden)


def independent(tokenizer, images, n: int, generator) -> torch.Tensor:
    """Pictures of tokens that are drawn one by one, each with its frequency at its place: uint8 (n, C, H, W)."""
    ids = torch.cat([tokenizer.ids(normalize(part)) for part in images.split(500)])  # (M, N)
    rows = torch.randint(len(ids), (n, ids.shape[1]), generator=generator)  # for each place another image
    return denormalize(tokenizer.paint(ids.gather(0, rows)))


def frechet(one: torch.Tensor, other: torch.Tensor) -> float:
    """The Fréchet distance of the normal distributions of two sets of features, (n, D) and (m, D)."""
    (a, c), (b, d) = ((x.double().mean(0), x.double().T.cov()) for x in (one, other))
    values, vectors = torch.linalg.eigh(c)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T  # tr (C C')^½ = tr (C^½ C' C^½)^½
    between = torch.linalg.eigvalsh(root @ d @ root).clamp(min=0).sqrt().sum()
    return float((a - b).square().sum() + c.trace() + d.trace() - 2 * between)


@torch.no_grad()
def encodings(encoder, pictures: torch.Tensor) -> torch.Tensor:
    """Features of pictures, uint8 (n, C, H, W), by an encoder: (n, D)."""
    return torch.cat([encoder.features(part) for part in pictures.split(250)])


def distances(method, images, test, count: int, seed: int, device) -> dict:
    """How far samples, and each of the floors, are from real test scenes."""
    draw = torch.Generator().manual_seed(seed)
    judge = minimim.load(minimim.bundled("mae-scenes")).encoder.eval().to(device)
    tokenizer, real = method.encoder.tokenizer, images.images[:count].to(device)
    flat = real.float().mean((0, 2, 3)), real.float().std((0, 2, 3))
    sets = {
        "other real scenes": real,
        "real scenes through the tokenizer": denormalize(tokenizer.paint(tokenizer.ids(normalize(real)))),
        "MAGE's samples": sample(method, count, STEPS, torch.Generator(device).manual_seed(mix(seed, 1))),
        "tokens drawn independently": independent(tokenizer, images.images.to(device), count, draw),
        "noise": (flat[0].view(3, 1, 1) + flat[1].view(3, 1, 1) * torch.randn(real.shape, generator=draw).to(device)).clamp(0, 255).to(torch.uint8),
    }
    here = encodings(judge, test.images.to(device)).cpu()
    return {name: round(frechet(encodings(judge, pictures).cpu(), here), 3) for name, pictures in sets.items()}


class Watch:
    """A forward hook of data2vec that keeps numbers of its target, and maps of it for some pictures."""

    def __init__(self, pictures: dict, every: int, kept):
        self.pictures, self.every, self.kept, self.step, self.rows, self.maps = pictures, every, kept, 0, [], {}

    @torch.no_grad()
    def __call__(self, method, given, output) -> None:
        target, hidden = output.target.float(), output.mask  # (B, N, D), (B, N)
        if self.step % self.every == 0:
            wrong = (output.prediction.float() - target).square().mean(-1)[hidden].mean()
            row = {"variance": target.var((0, 1)).mean(), "by_place": target.mean(0).var(0).mean(), "error": wrong}
            self.rows.append({"step": self.step, **{name: round(float(value), 5) for name, value in row.items()}})
        if self.step in self.kept:
            self.keep(method)
        self.step += 1

    @torch.no_grad()
    def keep(self, method) -> None:
        """Keep the teacher's target for the pictures, as its first three principal components: (N, 3) float16."""
        with full_precision(next(method.parameters()).device.type):
            for name, image in self.pictures.items():
                view = {"image": normalize(image[None]).to(next(method.parameters()).device)}
                target = method.target(view, Seen(method.teacher, view, method.target.want))["patch"][0].cpu()  # (N, D)
                centred = target - target.mean(0)
                self.maps[f"{name}, {self.step}"] = (centred @ torch.linalg.svd(centred, full_matrices=False)[2][:3].T).to(torch.float16)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=RUNS, default=list(RUNS))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", help="of the training: fp32 or bf16")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, to see that it works")
    args = parser.parse_args()
    device = pick_device(args.device)
    dtype = {torch.bfloat16: "bf16", torch.float32: "fp32"}[precision(args.precision, device)]
    count, compared, sampled = (128, 64, 8) if args.smoke else (IMAGES, COMPARED, SAMPLED)
    images, test = data.load("scenes", count=count), data.load("scenes", "test", count=compared)
    name = f"targets-{kind(device.type)}"
    path, arrays = args.out / f"{name}.json", args.out / f"{name}.npz"
    results = {"runs": json.loads(path.read_text())["runs"] if path.exists() else {}}
    kept = dict(np.load(arrays)) if arrays.exists() else {}
    for job in args.only:
        if job in results["runs"]:
            continue
        steps = 4 if args.smoke else RUNS[job][2]
        if job == "mage":
            method, row = trained(job, images, args.seed, steps, device, dtype)
            frames, hidden = strip(method, 2 if args.smoke else STRIP, args.seed, device)
            kept |= {"frames": frames.numpy(), "hidden": hidden.numpy(), "after": np.array(FRAMES)}
            row |= {"perplexity": round(float(method.target.perplexity), 1), "distance": distances(method, images, test, sampled, args.seed, device)}
            row |= {"sampled": sampled, "compared_with": compared, "steps_of_sampling": STEPS}
        else:
            watch = Watch({"photo": data.load("photos", image_size=56).images[1], "scene": test.images[3]}, 1 if args.smoke else WATCHED, KEPT)
            method, row = trained(job, images, args.seed, steps, device, dtype, watch)
            watch.step = steps
            watch.keep(method)
            kept |= {name: x.numpy() for name, x in watch.maps.items()}
            row["target"] = watch.rows
        results["runs"][job] = row
        args.out.mkdir(parents=True, exist_ok=True)
        np.savez_compressed(arrays, **kept)
        write("targets", device.type, args.seed, results, args.out)
        print(job, row.get("distance") or row["target"][-1], flush=True)


if __name__ == "__main__":
    main()
