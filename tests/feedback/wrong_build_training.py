"""Wrong answers to the loss and the training step of the build notebook, as people write them: task → (answer, part of what must be said)."""

import math


def loss(target, pick=lambda errors, hidden: errors[hidden].mean(), power=2):
    def compute(prediction, patches, hidden):
        errors = (prediction - target(patches)).abs() ** power
        return pick(errors.mean(-1), hidden)

    return compute


def normalised(patches, correction=1):
    mean, variance = patches.mean(-1, keepdim=True), patches.var(-1, keepdim=True, correction=correction)
    return (patches - mean) / (variance + 1e-6).sqrt()


def loss_with_the_target_on_the_wrong_side(prediction, patches, hidden):
    return loss(normalised)(prediction.detach(), patches, hidden)


def factor(step, steps, warmup):
    return (step + 1) / warmup if step < warmup else (1 + math.cos(math.pi * (step - warmup) / (steps - warmup))) / 2


def stepping(rate=factor, order=("rate", "zero", "loss", "backward", "step"), groups=slice(None), give=lambda loss: loss.detach()):
    def training_step(model, optimizer, images, step, steps, lr, warmup):
        for move in order:
            if move == "rate":
                for group in optimizer.param_groups[groups]:
                    group["lr"] = lr * rate(step, steps, warmup)
            elif move == "zero":
                optimizer.zero_grad()
            elif move == "loss":
                result = model(images)
            elif move == "backward":
                result.backward()
            else:
                optimizer.step()
        return give(result)

    return training_step


WRONG_TRAINING = {
    "build.12": [
        (loss(normalised, lambda errors, hidden: errors.mean()), "over all patches"),
        (loss(normalised, lambda errors, hidden: errors[~hidden].mean()), "over the visible patches"),
        (loss(normalised, lambda errors, hidden: (errors * hidden).mean()), "divided by the number of all patches"),
        (loss(normalised, lambda errors, hidden: errors[hidden].sum()), "are summed"),
        (loss(lambda patches: patches), "the patches as they are"),
        (loss(lambda patches: normalised(patches, 0)), "divided by n"),
        (loss(normalised, power=1), "are absolute values"),
        (loss(lambda patches: (patches - patches.mean(-1, keepdim=True)) / patches.std(-1, keepdim=True)), "divided by zero"),
        (loss(lambda patches: (patches - patches.mean(-1, keepdim=True)) / (patches.std(-1, keepdim=True) + 1e-6)), "under the root"),
        (loss_with_the_target_on_the_wrong_side, "no gradient comes back"),
        (lambda prediction, patches, hidden: loss(normalised)(prediction, patches, hidden).item(), "a tensor was asked for"),
    ],
    "build.13": [
        (stepping(order=("rate", "loss", "backward", "step")), "the gradients of earlier steps are still there"),
        (stepping(order=("rate", "loss", "backward", "zero", "step")), "no weight has moved"),
        (stepping(order=("rate", "zero", "loss", "backward")), "no weight has moved"),
        (stepping(order=("zero", "loss", "backward", "step", "rate")), "was set after optimizer.step()"),
        (stepping(groups=slice(1)), "only the first group"),
        (stepping(lambda step, steps, warmup: 1), "lr in every step"),
        (stepping(lambda step, steps, warmup: step / warmup if step < warmup else factor(step, steps, warmup)), "which is 0 in the first step"),
        (stepping(lambda step, steps, warmup: factor(step, steps, 0)), "there is no warm-up"),
        (stepping(lambda step, steps, warmup: (step + 1) / warmup if step < warmup else factor(step, steps, 0)), "the cosine begins at step 0"),
        (stepping(give=lambda loss: loss), "return loss.detach()"),
        (stepping(give=lambda loss: None), "it returned NoneType"),
        (stepping(give=lambda loss: 2 * loss.detach()), "the losses of two steps"),
    ],
}  # fmt: skip
