"""The drawings of a training step show the numbers of a real one."""

import pytest
import torch
from drawn import check

import minimim
from minimim.show import adamw_step, training_loop
from minimim.show.drawings.training import written

WEIGHTS, GRADIENTS = torch.tensor([0.5, -0.3, 0.2]), [torch.tensor([3, 0.0003, 1.0]), torch.tensor([3, 0.0003, -1.0])]


def words(drawing):
    return [word.get_text() for word in drawing.words]


@pytest.mark.parametrize("decay", [0.0, 10.0])
def test_the_weights_that_are_drawn_are_those_that_torch_finds(decay):
    weights = WEIGHTS.clone().requires_grad_()
    optimizer = torch.optim.AdamW([weights], lr=0.002, betas=(0.9, 0.95), weight_decay=decay)
    for gradient in GRADIENTS:
        before, weights.grad = weights.detach().clone(), gradient
        optimizer.step()
    drawing = adamw_step(before, GRADIENTS, rate=0.002, decay=decay, names=("a", "b", "c"))
    check(drawing)
    state = optimizer.state[weights]
    for values in (before, weights.detach(), state["exp_avg"], state["exp_avg_sq"]):
        row = [written(value) for value in values.tolist()]
        assert any(words(drawing)[n : n + 3] == row for n in range(len(words(drawing)))), row


def test_the_loop_has_the_loss_and_the_gradient_of_its_batch_and_leaves_the_method_alone():
    torch.manual_seed(0)
    method = minimim.methods.create("mae", image_size=32, patch_size=8, size="micro", normalize_target=False)
    images = minimim.data.load("scenes", count=6).images
    before = [p.clone() for p in method.parameters()]
    drawing = training_loop(method, images, rate=0.002, step=100, steps=500, warmup=25, generator=torch.Generator().manual_seed(0))
    check(drawing)
    assert all(p.grad is None for p in method.parameters()) and all(map(torch.equal, before, method.parameters()))
    loss = method(images, generator=torch.Generator().manual_seed(0)).loss
    loss.backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in method.parameters() if p.grad is not None])
    there = words(drawing)
    assert f"{loss.item():.3f}" in there and f"length {norm:.2f}" in there and "length 1.00" in there
    assert "a batch of 6 images" in there and "learning rate, step 101 of 500" in there and "η = 0.00188" in there


@pytest.mark.parametrize(("value", "there"), [(0.0, "0"), (0.5, "0.5"), (-0.05263, "−0.0526"), (3e-5, "3e−5"), (0.8775, "0.8775"), (9.0, "9")])
def test_numbers_are_written_short(value, there):
    assert written(value) == there
