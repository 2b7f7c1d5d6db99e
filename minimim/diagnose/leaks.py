"""Does a method see what it hides, or get credit for what it shows?"""

from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from minimim.data.views import Inputs, Views, as_inputs, normalized
from minimim.diagnose.verdict import Verdict
from minimim.masking.mask import Mask
from minimim.methods import Method
from minimim.patches import patchify, unpatchify


def leak(method, images: Tensor | Inputs, generator: torch.Generator | None = None) -> Verdict:
    """Does the method see, or get credit for, what it should not? Measured in eval mode on images (B, C, H, W), or on all that the
    method needs, by name; each student view under its own masks.

    moved: how much the predictions of hidden places change when noise is put under the mask, relative to their standard deviation;
    0 when nothing leaks. Where a masking corrupts pixels, they are corrupted anew. visible_credit: the fraction of the loss's gradient
    that goes to predictions of visible places; 0 when only hidden ones count. home: one visible patch of each image is changed; the
    fraction of images whose prediction changes most at that place. It is near 1 in an untrained method that puts tokens back in
    order, often less after training, since no loss asks for the prediction there, and near 1/N where tokens are not put back; left
    out where only hidden places are predicted. A number that does not apply is left out: a method that predicts no places has none.
    """
    training, device = method.training, next(method.parameters()).device
    generator = generator or torch.Generator(device).manual_seed(0)
    inputs = normalized({name: x.to(device) for name, x in as_inputs(images).items()})
    method.eval()
    try:
        watch = Watch(method, inputs, generator)
        numbers = watch.credit() | watch.moved() | watch.home()
    finally:
        method.train(training)
    found = []
    if numbers.get("moved", 0) > 1e-4:
        found.append(f"noise under the mask moves what is predicted there, by {numbers['moved']:.0%} of its standard deviation")
    if numbers.get("visible_credit", 0) > 1e-4:
        found.append(f"{numbers['visible_credit']:.0%} of the loss's gradient goes to visible places")
    if numbers.get("home", 1) < 0.15:
        share = f"a changed patch shows most at its own place in {numbers['home']:.0%} of images"
        found.append(f"{share}: ids are not restored, or the encoder mixes its tokens up")
    if not numbers:
        return Verdict(True, "no leak: this method predicts no places, so there is nothing under a mask that it could have seen", numbers)
    healthy = "no leak: noise under the mask moves nothing, only hidden places count"
    healthy += ", and answers stand where they belong" if "home" in numbers else ""
    return Verdict(not found, "leak: " + "; ".join(found) if found else healthy, numbers)


@dataclass
class Answer:
    """One answer of the decoder for one student view. places: stream → what is hidden of what it predicts, (B, N) bool; all of it,
    where it predicts another view."""

    view: int
    mask: Mask
    streams: dict[str, Tensor]
    places: dict[str, Tensor]


class Watch:
    """A method that can be run again on changed inputs, with the masks and random numbers of a first run, so that only the inputs differ."""

    def __init__(self, method: Method, inputs: Inputs, generator: torch.Generator):
        self.method, self.inputs, self.generator = method, inputs, generator
        self.start = generator.get_state()
        self.views: Views | None = None
        self.masks: list[list[Mask]] = []
        self.answers, self.loss = self.look()

    def look(self, student: list[Inputs] | None = None) -> tuple[list[Answer], Tensor]:
        """Run the method: all its answers and the loss. student: changed student views, under the masks of the first run."""
        self.generator.set_state(self.start)
        answers: list[Answer] = []
        with torch.random.fork_rng(devices=[]), self.hooked(student, answers):
            torch.manual_seed(0)  # for noise that a decoder draws
            loss = self.method(self.inputs, generator=self.generator).loss
        return answers, loss

    @contextmanager
    def hooked(self, student, answers):
        """A context in which the method gets other views, its masks are kept or given again, and its answers are recorded."""
        call, current = [], []

        def views(module, args, output):
            self.views = self.views or output
            return output if student is None else replace(self.views, student=student)

        def masks(module, args, output):
            number = len(call)
            call.append(number)
            if len(self.masks) == number:
                self.masks.append(output)
            current[:] = [number]
            # corrupted pixels are made anew, or no change under them could show; but only where the same places are hidden
            return [new if new.inputs is not None and torch.equal(new.hidden, old.hidden) else old for old, new in zip(self.masks[number], output, strict=True)]

        def decoder(module, args, kwargs, output):
            mask = args[1]
            answers.append(Answer(current[0], mask, dict(output), self.places(mask, output)))

        hooks = [self.method.views.register_forward_hook(views), self.method.masking.register_forward_hook(masks)]
        hooks.append(self.method.decoder.register_forward_hook(decoder, with_kwargs=True))
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()

    def places(self, mask: Mask, streams: dict) -> dict[str, Tensor]:
        """For each stream that predicts places, which of them are hidden: (B, N) bool."""
        found, pairs = {}, {name: {term.pair for term in self.method.terms if term.stream == name} for name in streams}
        for name, answer in streams.items():
            spanned = (mask.spans or {}).get(name)
            hidden = mask.hidden if spanned is None else mask.hidden[:, spanned]
            if answer.dim() == 3 and pairs[name] == {"other"}:
                found[name] = torch.ones(answer.shape[:2], dtype=torch.bool, device=answer.device)
            elif answer.dim() == 3 and answer.shape[:2] == hidden.shape and bool(hidden.any()):  # otherwise nothing is hidden
                found[name] = hidden
        return found

    def credit(self) -> dict[str, float]:
        """{"visible_credit": …}, over all answers; {} where none predicts places with a gradient."""
        tensors = [(answer.streams[name], hidden) for answer in self.answers for name, hidden in answer.places.items()]
        tensors = [(x, hidden) for x, hidden in tensors if x.requires_grad]
        if not tensors:
            return {}
        gradients = torch.autograd.grad(self.loss, [x for x, _ in tensors], allow_unused=True)
        credits = [(g.abs().sum(-1), hidden) for g, (_, hidden) in zip(gradients, tensors, strict=True) if g is not None]  # (B, N)
        if not credits:
            return {}
        visible, whole = (float(sum(part)) for part in zip(*((c[~hidden].sum(), c.sum()) for c, hidden in credits), strict=True))
        return {"visible_credit": visible / max(whole, 1e-30)}

    @torch.no_grad()
    def moved(self) -> dict[str, float]:
        """{"moved": …}, of the stream that moves most; {} where no mask hides some places and shows others."""
        if not any(bool(hidden.any()) and not bool(hidden.all()) for hidden in (mask.hidden for masks in self.masks for mask in masks)):
            return {}
        shares: dict[str, float] = {}
        for turn in range(max(map(len, self.masks))):  # each mask of a view needs noise of its own
            masks = [own[min(turn, len(own) - 1)] for own in self.masks]
            student = [self.disturbed(view, mask.hidden, mask) for view, mask in zip(self.views.student, masks, strict=True)]
            changed, _ = self.look(student)
            for before, after in zip(self.answers, changed, strict=True):
                for name, hidden in before.places.items() if before.mask is masks[before.view] else ():
                    was, now = before.streams[name][hidden], after.streams[name][hidden]
                    if len(was) and bool(was.isfinite().all()):
                        share = float((now - was).square().mean().sqrt() / was.std().clamp(min=1e-12))
                        shares[name] = max(share, shares.get(name, 0.0))
        return {"moved": max(shares.values())} if shares else {}

    @torch.no_grad()
    def home(self) -> dict[str, float]:
        """{"home": …}, of the first answer that predicts visible places; {} where there is none, or where a change shows everywhere
        alike, as through untrained cross-attention."""
        answer = next((a for a in self.answers if any(bool((~hidden).any()) for hidden in a.places.values())), None)
        if answer is None or "image" not in self.inputs:
            return {}
        name, hidden = next((name, hidden) for name, hidden in answer.places.items() if bool((~hidden).any()))
        draw = torch.rand(hidden.shape, generator=self.generator, device=hidden.device).masked_fill(hidden, -1)
        place = draw.argmax(dim=1)  # (B,): a visible patch of each image
        chosen = torch.arange(hidden.shape[1], device=hidden.device) == place.unsqueeze(1)  # (B, N)
        stream = name if name in (answer.mask.spans or {}) else "image"
        student = list(self.views.student)
        student[answer.view] = self.disturbed(student[answer.view], chosen, Mask(chosen), only=stream)
        after = self.look(student)[0][self.answers.index(answer)].streams[name]
        change = (after - answer.streams[name]).square().sum(-1)  # (B, N)
        shown = change.masked_fill(hidden, 0)
        if not bool(shown.any()) or float((change.amax(1) / change.mean(1).clamp(min=1e-30)).median()) < 3:
            return {}
        return {"home": float((change.argmax(dim=1) == place).float().mean())}

    def disturbed(self, view: Inputs, places: Tensor, mask: Mask, only: str | None = None) -> Inputs:
        """A view with noise at some places, (B, N) bool, of each picture in it: those of its own span where modalities stand in a row."""
        rows, cols = self.method.encoder.grid(view)
        changed = dict(view)
        for name, x in view.items():
            spanned = (mask.spans or {}).get(name)
            if x.dim() != 4 or only not in (None, name) or mask.spans and spanned is None:
                continue
            where, side = places if spanned is None else places[:, spanned], x.shape[-2] // rows
            patches = patchify(x, side)  # (B, N, T)
            noise = torch.randn(patches.shape, generator=self.generator, device=x.device)
            changed[name] = unpatchify(torch.where(where.unsqueeze(-1), noise, patches), side, (rows, cols))
        return changed
