"""Parts that learn at a pace of their own, decay that changes, tensors that two parts share, and what is known of images beside them."""

import pytest
import torch
from helpers import generator, raw
from torch import nn

import minimim
from minimim import checkpoint
from minimim.data import Images
from minimim.data.batches import batches
from minimim.data.scenes import scenes
from minimim.data.views import RandomViews
from minimim.decoders import LinearDecoder
from minimim.encoders import ViT
from minimim.errors import UserError
from minimim.losses import Term, l2
from minimim.masking import BlockMasking, RandomMasking
from minimim.methods import Method, Teacher, create
from minimim.targets import Pixels
from minimim.train import TrainConfig, train
from minimim.train.schedule import decay_groups
from minimim.train.step import Stepper, adamw, weight_decay
from minimim.train.trouble import no_memory


class Judge(nn.Module):
    """A part with weights and a pace of its own, whose gradient is large."""

    lr_scale = 0.5

    def __init__(self):
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(2, 2)), nn.Parameter(torch.ones(2))

    def forward(self, prediction, target, where):
        return (prediction - target).square().mean(-1) + 1000 * (self.weight.sum() + self.bias.sum())


def method(loss=l2, masking=None, on="scored", **more):
    torch.manual_seed(0)
    more = {"encoder": ViT(16, 4, "micro", hidden="token"), **more}
    parts = {"views": RandomViews((16, 16)).eval(), "masking": masking or RandomMasking(0.5), "decoder": LinearDecoder(128, 48), "target": Pixels(4)}
    return Method(**parts, terms=[Term("patch", loss, on=on)], **more)


def settings(**more):
    return TrainConfig(**{"epochs": 1, "batch_size": 4, "lr": 0.01, "device": "cpu", "log_every": 1, "warmup": 0.0, **more})


def data(n=16):
    return Images(raw(n), torch.arange(n) % 4)


def test_a_part_with_lr_scale_has_groups_of_its_own_and_no_weight_is_in_two():
    made = method(Judge())
    groups = decay_groups(made, 0.3)
    assert [group.get("player") for group in groups] == [None, None, "Judge", "Judge"]
    assert [group["weight_decay"] for group in groups] == [0.3, 0.0, 0.3, 0.0] and groups[2]["scale"] == 0.5
    found = [id(p) for group in groups for p in group["params"]]
    assert len(found) == len(set(found)) == sum(p.requires_grad for p in made.parameters())
    assert groups[2]["params"] == [made.losses[0].weight] and groups[3]["params"] == [made.losses[0].bias]


def test_each_player_is_clipped_by_itself_and_learns_at_its_own_rate():
    made, config = method(Judge()), settings(clip=0.1, weight_decay=0.0)
    optimizer = adamw(made, config)
    seen = {}
    optimizer.register_step_pre_hook(lambda *_: seen.update({n: p.grad.clone() for n, p in made.named_parameters() if p.requires_grad}))
    told = Stepper(made, optimizer, config, 10)(0, [raw(4)])
    norms = {"losses": 0.0, "": 0.0}
    for name, gradient in seen.items():
        norms["losses" if name.startswith("losses") else ""] += float(gradient.square().sum())
    assert norms == pytest.approx({"losses": 0.01, "": 0.01}, rel=1e-4)
    assert told["grad_norm Judge"] == pytest.approx(1000 * 6**0.5, rel=1e-4) and told["grad_norm"] < 100
    moved = 1 - float(made.losses[0].weight.detach()[0, 0])  # Adam's first step is as long as the rate
    assert moved == pytest.approx(0.5 * 0.01 * 4 / 256, rel=1e-3)


def test_weight_decay_goes_to_its_end_along_a_cosine_where_weights_are_decayed():
    config = settings(epochs=10, weight_decay=0.04, weight_decay_end=0.4)
    assert weight_decay(config, 0, 100) == pytest.approx(0.04) and weight_decay(config, 50, 100) == pytest.approx(0.22)
    assert weight_decay(config, 100, 100) == pytest.approx(0.4) and weight_decay(settings(), 70, 100) == 0.05
    made = method()
    optimizer, seen = adamw(made, config), []
    optimizer.register_step_pre_hook(lambda *_: seen.append([group["weight_decay"] for group in optimizer.param_groups]))
    take = Stepper(made, optimizer, config, 4)
    for step in range(4):
        take(step, [raw(4)])
    assert seen == [[pytest.approx(weight_decay(config, step, 4)), 0.0] for step in range(4)]


def test_weights_that_are_not_decayed_at_first_may_be_decayed_later():
    config = settings(weight_decay=0.0, weight_decay_end=0.4)
    made = method()
    optimizer = adamw(made, config)
    Stepper(made, optimizer, config, 4)(2, [raw(4)])
    assert [group["weight_decay"] for group in optimizer.param_groups] == [pytest.approx(0.2), 0.0]


def test_two_players_of_one_class_are_clipped_each_by_itself():
    made = method(Judge())
    made.masking.judge = Judge()
    groups = decay_groups(made, 0.3)
    assert len({group["player"] for group in groups[2:]}) == 2 and len(groups) == 6


def test_tensors_that_two_parts_own_together_are_saved_and_come_back_as_one(tmp_path):
    encoder, head = ViT(16, 4, "micro", hidden="token"), LinearDecoder(128, 48)
    made = method(encoder=encoder, teacher=Teacher(encoder, None, share=[encoder.patch_embed]))
    made.decoder.pred = made.teacher.extra = head.pred
    assert made.teacher.encoder.patch_embed.proj.weight is encoder.patch_embed.proj.weight
    train(made, data(), settings(), out=tmp_path, bar=False)
    tensors, _ = checkpoint.read(tmp_path)
    for one, other in (("teacher.encoder", "encoder"),):
        assert torch.equal(tensors[f"method.{one}.patch_embed.proj.weight"], tensors[f"method.{other}.patch_embed.proj.weight"])
    minimim.save(tmp_path / "weights.safetensors", made)


def some(mask):
    """Places that are not as many in each image: of the hidden ones those with even numbers."""
    return mask.hidden & (torch.arange(mask.hidden.shape[1]) % 2 == 0)


@pytest.mark.parametrize("masking, on", [(BlockMasking((0.1, 0.9), chance=0.6), "scored"), (RandomMasking(0.5), some)])
def test_counts_that_differ_between_parts_are_taken_over_the_whole_batch_first(masking, on):
    """Blocks of 10 to 90 % in some of the images: the mean over all scored patches is not the mean of two halves' means."""
    torch.set_default_dtype(torch.float64)
    try:
        ends = []
        for accumulate in (1, 2):
            made = method(masking=masking, on=on).double()
            train(made, data(), settings(batch_size=8, accumulate=accumulate), bar=False)
            ends.append(made.state_dict())
    finally:
        torch.set_default_dtype(torch.float32)
    for key, value in ends[0].items():
        torch.testing.assert_close(ends[1][key], value, atol=1e-9, rtol=1e-9)


def test_counts_are_what_the_terms_score():
    made, draws = method(masking=BlockMasking((0.1, 0.9), chance=0.6)), []
    made.register_forward_hook(lambda module, args, output: draws.append(int(output.mask.sum())))
    made(raw(6), generator=generator())
    assert made.count_scored(raw(6), generator=generator()).tolist() == draws


def whole_batch_loss(prediction, target, where):
    return (prediction - target).square().mean(-1)


whole_batch_loss.whole_batch = True


def test_a_batch_is_not_cut_where_something_looks_at_all_of_it():
    with pytest.raises(UserError, match="whole_batch_loss of this method looks at all images of a batch at once, .* set accumulate to 1"):
        train(method(whole_batch_loss), data(), settings(accumulate=2), bar=False)
    encoder = ViT(16, 4, "micro", hidden="token")
    encoder.norm = nn.Sequential(nn.Flatten(0, 1), nn.BatchNorm1d(128), nn.Unflatten(0, (2, 16)))
    with pytest.raises(UserError, match="BatchNorm1d of this method looks at"):
        train(method(encoder=encoder), data(), settings(accumulate=2), bar=False)


def test_out_of_memory_does_not_advise_to_cut_what_cannot_be_cut():
    config = settings(batch_size=64)
    assert "--accumulate 2" in no_memory(config, torch.device("cpu"), None)
    told = no_memory(config, torch.device("cpu"), None, whole_batch=True)
    assert "--accumulate" not in told and "start anew with --batch-size 32" in told


def test_what_a_method_needs_is_streamed_beside_the_images():
    known = scenes("train", 40, image_size=16, objects=(1, 2))
    (batch,) = batches(known, 6, seed=2, stop=1, needs=("label", "depth", "segmentation", "caption"))
    (plain,) = batches(known, 6, seed=2, stop=1)
    assert torch.equal(batch["image"], plain)
    for row in range(6):
        (i,) = (i for i in range(40) if torch.equal(known.images[i], plain[row]))
        assert batch["label"][row] == known.labels[i]
        shown = known.truth["segmentation"][i]
        for k in range(int(known.truth["count"][i])):
            where = shown == k + 1
            assert (batch["segmentation"][row][where] == known.truth["class"][i, k] + 1).all()
        nearest = shown == known.truth["count"][i]
        assert (batch["depth"][row, 0][nearest] == 255).all() and (batch["depth"][row, 0][shown == 0] == 0).all()
        words = known.truth["caption"][i].replace(",", "").split()[:16]
        assert int((batch["caption"][row] > 0).sum()) == len(words) and not (batch["caption"] == 1).any()


@pytest.mark.parametrize("name, sentence", [("label", "folders of classes"), ("depth", "scenes has depth"), ("caption", "sentences")])
def test_what_images_do_not_have_is_one_sentence(name, sentence):
    with pytest.raises(UserError, match=f"learns from {name}s, and these images have none: .*{sentence}"):
        batches(Images(raw(8)), 4, needs=(name,))
    with pytest.raises(UserError, match="did you mean 'label'"):
        batches(Images(raw(8)), 4, needs=("lable",))


def test_rows_that_do_not_belong_to_the_images_are_refused():
    with pytest.raises(UserError, match="there are 8 images and 7 rows of what is known as their depth"):
        batches(Images(raw(8), truth={"depth": torch.zeros(7, 1, 16, 16, dtype=torch.uint8)}), 4, needs=("depth",))
    with pytest.raises(UserError, match="there are 8 images and 9 rows of what is known as their label"):
        batches(Images(raw(8), torch.zeros(9, dtype=torch.long)), 4, needs=("label",))


def test_weights_of_before_the_interface_was_widened_are_still_loaded():
    method = minimim.load(minimim.bundled("mae-scenes"))
    assert [*method.state_dict()] == [*create(**method.spec).state_dict()]
