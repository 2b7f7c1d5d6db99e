"""Right answers to problem set 5, in many hands."""

import math

import torch
import torch.nn.functional as F

# ps5.1, right


def several_row_by_row(z, image, temperature):
    rows = F.normalize(z, dim=1)
    losses = []
    for i in range(len(z)):
        scores = rows[i] @ rows.T / temperature
        positive = [j for j in range(len(z)) if j != i and image[j] == image[i]]
        negatives = scores[image != image[i]]
        errors = [torch.cat([scores[j : j + 1], negatives]).logsumexp(0) - scores[j] for j in positive]
        if errors:
            losses.append(torch.stack(errors).mean())
    return torch.stack(losses).mean()


def several_pairs(z, image, temperature):
    """Every pair of views as a question of its own."""
    rows = F.normalize(z, dim=-1)
    scores, same = rows @ rows.T / temperature, image[:, None] == image
    first, second = (same & ~torch.eye(len(z)).bool()).nonzero().T
    own = scores[first, second].unsqueeze(1)
    questions = torch.cat([own, scores.masked_fill(same, -math.inf)[first]], dim=1)
    errors = F.cross_entropy(questions, torch.zeros(len(first), dtype=torch.long), reduction="none")
    weight = 1 / torch.bincount(first, minlength=len(z))[first].to(z.dtype)
    return (weight * errors).sum() / len(first.unique())


def several_softplus(z, image, temperature):
    """log(1 + exp(negatives − positive)) by softplus, where there are negatives."""
    rows = z / z.norm(dim=1, keepdim=True)
    scores = torch.einsum("id,jd->ij", rows, rows) / temperature
    same = image[:, None].eq(image[None])
    if same.all():
        return 0 * z.sum()
    wrong = scores.masked_fill(same, -math.inf).logsumexp(1, keepdim=True)  # (M, 1)
    errors = F.softplus(wrong - scores)
    positive = same.to(z.dtype) - torch.eye(len(z), dtype=z.dtype)
    count = positive.sum(1)
    return ((errors * positive).sum(1)[count > 0] / count[count > 0]).mean()


def several_logaddexp(z, image, temperature):
    rows = F.normalize(z, dim=-1)
    scores = (rows @ rows.mT).div(temperature)
    total = []
    for i, name in enumerate(image.tolist()):
        mates = [j for j, other in enumerate(image.tolist()) if other == name and j != i]
        if not mates:
            continue
        rest = [j for j, other in enumerate(image.tolist()) if other != name]
        if rest:
            total.append((torch.logaddexp(scores[i, mates], scores[i, rest].logsumexp(0)) - scores[i, mates]).mean())
        else:
            total.append(0 * scores[i, mates].sum())
    return sum(total) / len(total)


def several_by_exponents(z, image, temperature):
    """exp(200) is a number in float64."""
    rows = F.normalize(z.double(), dim=1)
    losses = []
    for i, name in enumerate(image):
        powers = (rows[i] @ rows.T / temperature).exp()
        positive = image == name
        positive[i] = False
        if positive.any():
            losses.append((torch.log(powers[positive] + powers[image != name].sum()) - powers[positive].log()).mean())
    return torch.stack(losses).mean().to(z.dtype)


def several_by_image(z, image, temperature):
    """Image by image: its views against all rows of the others."""
    rows, parts, count = F.normalize(z, dim=1), [], 0
    for name in image.unique():
        mine, rest = rows[image == name], rows[image != name]
        v = len(mine)
        if v > 1:
            positive = (mine @ mine.T / temperature)[~torch.eye(v).bool()].view(v, v - 1, 1)
            negative = (mine @ rest.T / temperature)[:, None].expand(-1, v - 1, -1)
            errors = -torch.cat([positive, negative], 2).log_softmax(2)[..., 0]
            parts.append(errors.mean(1).sum())
            count += v
    return sum(parts) / count


def several_in_float64(z, image, temperature):
    return several_pairs(z.double(), image, temperature).to(z.dtype)


# ps5.2, right


def queue_filled(queries, keys, ids, queue, queue_ids, size, temperature):
    q, k = F.normalize(queries, dim=-1), F.normalize(keys.detach(), dim=-1)
    mine = (q * k).sum(-1, keepdim=True)
    others = (q @ queue.detach().T).masked_fill(ids[:, None] == queue_ids, -math.inf)
    loss = F.cross_entropy(torch.cat([mine, others], 1) / temperature, torch.zeros(len(q), dtype=torch.long))
    return loss, torch.cat([queue.detach(), k])[-size:], torch.cat([queue_ids, ids])[-size:]


def queue_loop(queries, keys, ids, queue, queue_ids, size, temperature):
    with torch.no_grad():
        k = keys / keys.norm(dim=1, keepdim=True)
        old = queue.clone()
    losses = []
    for i in range(len(queries)):
        q = queries[i] / queries[i].norm()
        scores = torch.cat([(k[i] @ q)[None], old[queue_ids != ids[i]] @ q]) / temperature
        losses.append(scores.logsumexp(0) - scores[0])
    rows, names = [*old, *k], [*queue_ids.tolist(), *ids.tolist()]
    return torch.stack(losses).mean(), torch.stack(rows[-size:]), torch.tensor(names[-size:])


def queue_of_all_scores(queries, keys, ids, queue, queue_ids, size, temperature):
    """Scores with keys and queue in one table, of which each row takes what it may."""
    q, everything = F.normalize(queries, dim=1), torch.cat([F.normalize(keys, dim=1), queue]).detach()
    names = torch.cat([ids, queue_ids])
    own = torch.eye(len(q), len(everything)).bool()
    old = torch.arange(len(everything)) >= len(q)
    allowed = own | (old & (names != ids[:, None]))
    scores = (q @ everything.T / temperature).masked_fill(~allowed, -math.inf)
    loss = F.cross_entropy(scores, torch.arange(len(q)))
    order = torch.cat([torch.arange(len(q), len(everything)), torch.arange(len(q))])[-size:]
    return loss, everything[order], names[order]


def queue_by_slices(queries, keys, ids, queue, queue_ids, size, temperature):
    loss = queue_filled(queries, keys, ids, queue, queue_ids, 10**6, temperature)[0]
    stay = max(0, size - len(ids))
    new = F.normalize(keys.detach(), dim=-1)
    kept = slice(max(0, len(queue) - stay), None)
    return loss, torch.cat([queue.detach()[kept], new[-size:]]), torch.cat([queue_ids[kept], ids[-size:]])


def queue_in_float64(queries, keys, ids, queue, queue_ids, size, temperature):
    loss, rows, names = queue_loop(queries.double(), keys.double(), ids, queue.double(), queue_ids, size, temperature)
    return loss.to(queries.dtype), rows.to(queue.dtype), names


def queue_as_a_list(queries, keys, ids, queue, queue_ids, size, temperature):
    return list(queue_filled(queries, keys, ids, queue, queue_ids, size, temperature))


# ps5.3, right


@torch.no_grad()
def average_weights(students, momenta):
    total, weight, out = torch.zeros_like(students[0]), torch.zeros((), dtype=students.dtype), []
    for s, m in zip(students, momenta.to(students.dtype), strict=True):
        if s.isfinite().all():
            total, weight = m * total + (1 - m) * s, m * weight + (1 - m)
        out.append(total / weight if weight > 0 else torch.zeros_like(total))
    return torch.stack(out)


def average_beside_a_one(students, momenta):
    """A column of ones is averaged beside the weights."""
    x = torch.cat([students.detach(), torch.ones_like(students[:, :1]).detach()], 1)
    now, out = torch.zeros_like(x[0]), []
    for row, m in zip(x, momenta, strict=True):
        now = torch.lerp(row, now, m.to(x.dtype)) if bool(row.isfinite().all()) else now
        out.append(now[:-1] / now[-1] if now[-1] > 0 else now[:-1].clone())
    return torch.stack(out)


@torch.no_grad()
def average_running(students, momenta):
    """The corrected average moves by (1 − m) / weight towards the student."""
    mean, weight, out = torch.zeros(students.shape[1], dtype=torch.float64), 0.0, []
    for row, m in zip(students.double(), momenta.double().tolist(), strict=True):
        if row.isfinite().all():
            weight = m * weight + 1 - m
            if weight:
                mean = mean + (1 - m) / weight * (row - mean)
        out.append(mean)
    return torch.stack(out).to(students.dtype)


@torch.no_grad()
def average_matrix(students, momenta):
    """The weight of every student at every step, as a matrix."""
    fine = students.isfinite().all(1)
    m = torch.where(fine, momenta.double(), 1.0)
    table = torch.zeros(len(m), len(m), dtype=torch.float64)
    for t in range(len(m)):
        for u in range(t + 1):
            table[t, u] = (1 - m[u]) * m[u + 1 : t + 1].prod()
    total = table.sum(1, keepdim=True)
    table = table / torch.where(total > 0, total, 1)
    return (table @ torch.where(fine[:, None], students, 0).double()).to(students.dtype)


def average_product_of_tensors(students, momenta):
    """1 minus the product of the momenta, as it stands in the statement, in the dtype that comes in."""
    students = students.detach()
    a, product, out = torch.zeros_like(students[0]), 1.0, torch.zeros_like(students)
    for t in range(len(students)):
        if torch.isfinite(students[t]).all():
            a, product = momenta[t] * a + (1 - momenta[t]) * students[t], product * momenta[t]
        if product < 1:
            out[t] = a / (1 - product)
    return out


@torch.no_grad()
def average_in_float32(students, momenta):
    """The weight of every student at every step, in the dtype that comes in, and cumprod."""
    fine = students.isfinite().all(1)
    m = torch.where(fine, momenta, 1).to(students.dtype)
    table = torch.zeros(len(m), len(m), dtype=m.dtype)
    for t in range(len(m)):
        table[t:, t] = (1 - m[t]) * torch.cat([torch.ones_like(m[:1]), m[t + 1 :].cumprod(0)])
    total = table.sum(1, keepdim=True)
    return torch.where(total > 0, table @ torch.where(fine[:, None], students, 0) / total, 0)


@torch.no_grad()
def average_product(students, momenta):
    """1 minus the product of the momenta, in float64."""
    a, product, out = torch.zeros_like(students[0]).double(), 1.0, []
    for row, m in zip(students.double(), momenta.double().tolist(), strict=True):
        if torch.isfinite(row).all():
            a, product = a * m + row * (1 - m), product * m
        out.append(a / (1 - product) if product < 1 else a)
    return torch.stack(out).to(students.dtype)


def average_by_lists(students, momenta):
    width, total, weight, out = students.shape[1], [0.0] * students.shape[1], 0.0, []
    for row, m in zip(students.tolist(), momenta.tolist(), strict=True):
        if not any(math.isnan(x) or math.isinf(x) for x in row):
            total, weight = [m * t + (1 - m) * x for t, x in zip(total, row, strict=True)], m * weight + 1 - m
        out.append([t / weight for t in total] if weight else [0.0] * width)
    return torch.tensor(out, dtype=students.dtype)


# ps5.4, right


@torch.no_grad()
def balanced_logs(scores, valid, temperature, rounds):
    logs = scores[valid] / temperature
    for _ in range(rounds):
        logs = logs.log_softmax(0).log_softmax(1)
    out = torch.zeros_like(scores)
    out[valid] = logs.exp()
    return out, out.sum(0) * scores.shape[1] / valid.sum()


@torch.no_grad()
def balanced_infinite(scores, valid, temperature, rounds):
    """Padding is −∞ while the columns are summed."""
    logs = torch.where(valid[:, None], scores / temperature, -math.inf)
    for _ in range(rounds):
        logs = logs - logs.logsumexp(0, keepdim=True)
        logs = torch.where(valid[:, None], logs - logs.logsumexp(1, keepdim=True), -math.inf)
    return logs.exp(), logs.exp().sum(0) / (valid.sum() / scores.shape[1])


@torch.no_grad()
def balanced_potentials(scores, valid, temperature, rounds):
    """A number for each row and one for each column; the scores stay."""
    x = (scores[valid] / temperature).double()
    f, g = torch.zeros(len(x)).double(), torch.zeros(scores.shape[1]).double()
    for _ in range(rounds):
        g = -(x + f[:, None]).logsumexp(0)
        f = -(x + g).logsumexp(1)
    found = (x + f[:, None] + g).exp().to(scores.dtype)
    out = scores.new_zeros(scores.shape)
    out[valid] = found
    return out, found.sum(0) / (len(found) / scores.shape[1])


def balanced_detached(scores, valid, temperature, rounds):
    rows = valid.nonzero().flatten()
    x = scores.detach()[rows].div(temperature)
    for _ in range(rounds):
        x = F.log_softmax(x, dim=0)
        x = F.log_softmax(x, dim=1)
    assigned = torch.zeros(scores.shape, dtype=scores.dtype).index_copy(0, rows, x.exp())
    return assigned, assigned.sum(0).div(len(rows) / scores.shape[1])


@torch.no_grad()
def balanced_turned(scores, valid, temperature, rounds):
    """A row for each prototype."""
    x = scores[valid].T / temperature  # (K, V)
    for _ in range(rounds):
        x = x - x.logsumexp(1, keepdim=True)
        x = x - x.logsumexp(0, keepdim=True)
    out = torch.zeros_like(scores)
    out[valid] = x.exp().T.contiguous()
    return out, x.exp().sum(1) * len(x) / x.shape[1]


def balanced_in_a_list(scores, valid, temperature, rounds):
    return list(balanced_logs(scores, valid, temperature, rounds))


# ps5.5, right


TOTAL, DIMENSIONAL, HEALTHY = "total collapse", "dimensional collapse", "healthy"


def verdicts_two_questions(stored):
    found = {}
    for letter, run in stored.items():
        now, start = run["trained"], run["random"]
        if now["head_std"] < 0.25 * start["head_std"]:
            found[letter] = TOTAL
        elif now["head_rank"] < 0.3 * start["head_rank"]:
            found[letter] = DIMENSIONAL
        else:
            found[letter] = HEALTHY
    return found


def verdicts_by_ratio(stored):
    def ratio(run, name):
        return run["trained"][name] / run["random"][name]

    return {k: HEALTHY if min(ratio(r, "head_std"), ratio(r, "head_rank")) > 0.35 else TOTAL if ratio(r, "head_std") < 0.35 else DIMENSIONAL for k, r in stored.items()}


def verdicts_by_volume(stored):
    """Small outputs first, whatever their rank."""
    names = dict.fromkeys(stored, HEALTHY)
    for k, r in stored.items():
        if r["random"]["head_std"] > 3 * r["trained"]["head_std"]:
            names[k] = TOTAL
    for k, r in stored.items():
        if names[k] == HEALTHY and r["random"]["head_rank"] > 3 * r["trained"]["head_rank"]:
            names[k] = DIMENSIONAL
    return names


def verdicts_as_numbers(stored):
    names = [HEALTHY, DIMENSIONAL, TOTAL, TOTAL]
    parts = {k: [r["trained"][n] <= 0.28 * r["random"][n] for n in ("head_rank", "head_std")] for k, r in stored.items()}
    return {k: names[rank + 2 * std] for k, (rank, std) in parts.items()}


def verdicts_backwards(stored):
    found = {k: verdicts_two_questions({k: stored[k]})[k] for k in reversed(stored)}
    return dict(sorted(found.items()))


def verdicts_by_tensor(stored):
    table = torch.tensor([[r[w][n] for w in ("trained", "random") for n in ("head_std", "head_rank")] for r in stored.values()])
    std, rank = (table[:, 0] / table[:, 2]).log(), (table[:, 1] / table[:, 3]).log()
    kind = torch.where(std < math.log(0.33), 2, torch.where(rank < math.log(0.33), 1, 0))
    return dict(zip(stored, [[HEALTHY, DIMENSIONAL, TOTAL][n] for n in kind.tolist()], strict=True))


RIGHT = {
    "ps5.1": [several_row_by_row, several_pairs, several_softplus, several_logaddexp, several_by_image, several_by_exponents, several_in_float64],
    "ps5.2": [queue_filled, queue_loop, queue_of_all_scores, queue_by_slices, queue_in_float64, queue_as_a_list],
    "ps5.3": [average_weights, average_beside_a_one, average_running, average_matrix, average_product, average_product_of_tensors, average_in_float32, average_by_lists],
    "ps5.4": [balanced_logs, balanced_infinite, balanced_potentials, balanced_detached, balanced_turned, balanced_in_a_list],
    "ps5.5": [verdicts_two_questions, verdicts_by_ratio, verdicts_by_volume, verdicts_as_numbers, verdicts_backwards, verdicts_by_tensor],
}
