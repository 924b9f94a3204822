"""Right and wrong answers of the set `dcgan`, chapter 11."""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from . import Answers

# 1 ---------------------------------------------------------------------------------------------------

sizes = Answers("dcgan.sizes")


@sizes.right
def with_branches(layers, size):
    found = []
    for kind, k, s, p, op in layers:
        if kind == "transposed":
            size = (size - 1) * s - 2 * p + k + op
        elif size + 2 * p < k:
            return found
        else:
            size = (size + 2 * p - k) // s + 1
        if size <= 0:
            return found
        found.append(size)
    return found


@sizes.right
def with_layers_of_torch(layers, size):
    x, found = torch.zeros(1, 1, size), []
    for kind, k, s, p, op in layers:
        layer = nn.Conv1d(1, 1, k, s, p) if kind == "conv" else nn.ConvTranspose1d(1, 1, k, s, p, op)
        try:
            x = layer(x)
        except RuntimeError:
            break
        found.append(x.shape[-1])
    return found


@sizes.right
def counting_windows(layers, size):
    def after(n, kind, k, s, p, op):
        if kind != "conv":
            return len(range(0, n * s, s)[:-1]) * s + k + op - p - p
        return len(range(-p, n + p - k + 1, s))

    found = [size]
    for layer in layers:
        found.append(after(found[-1], *layer))
        if found[-1] < 1:
            return tuple(found[1:-1])
    return tuple(found[1:])


@sizes.right
def as_a_tensor(layers, size):
    return torch.tensor(with_branches(layers, size))


@sizes.wrong("goes-on")
def formula_alone(layers, size):
    found = []
    for kind, k, s, p, op in layers:
        size = math.floor((size + 2 * p - k) / s + 1) if kind == "conv" else (size - 1) * s - 2 * p + k + op
        found.append(size)
    return found


@sizes.wrong("cut-at-zero")
def integer_of_a_quotient(layers, size):
    found = []
    for kind, k, s, p, op in layers:
        size = int((size + 2 * p - k) / s) + 1 if kind == "conv" else (size - 1) * s - 2 * p + k + op
        if size < 1:
            break
        found.append(size)
    return found


@sizes.wrong("all-strides")
def upsamples_first(layers, size):
    found = []
    for kind, k, s, p, op in layers:
        size = (size + 2 * p - k) // s + 1 if kind == "conv" else size * s - 2 * p + k + op
        if size < 1:
            break
        found.append(size)
    return found


@sizes.wrong("shape")
def none_where_it_stops(layers, size):
    found = with_branches(layers, size)
    return found + [None] * (len(layers) - len(found))


@sizes.wrong("type")
def last_size_only(layers, size):
    return with_branches(layers, size)[-1]


@sizes.wrong("raises")
def lets_torch_complain(layers, size):
    x, found = torch.zeros(1, 1, size), []
    for kind, k, s, p, op in layers:
        x = (nn.Conv1d(1, 1, k, s, p) if kind == "conv" else nn.ConvTranspose1d(1, 1, k, s, p, op))(x)
        found.append(x.shape[-1])
    return found


@sizes.wrong("value")
def halves_and_doubles(layers, size):
    return [size := size // s if kind == "conv" else size * s for kind, k, s, p, op in layers]


# 2 ---------------------------------------------------------------------------------------------------

on_paper = Answers("dcgan.on_paper")
on_paper.right([2, 5, 8192, 12_658_432, 1792, 960], (2, 5, 512 * 4 * 4, 12_658_432.0, 2 * (128 + 256 + 512), 960))
on_paper.right(np.array([2, 5, 8192, 12_658_432, 1792, 960]))
on_paper.wrong("from-the-figure", [2, 5, 16_384, 12_658_432, 1792, 960])
on_paper.wrong("port", [2, 5, 8192, 3_576_704, 1792, 960])
on_paper.wrong("bn-everywhere", [2, 5, 8192, 12_658_432, 1920, 960])
on_paper.wrong("all-biases", [2, 5, 8192, 12_658_432, 1792, 963])
on_paper.wrong("value", [2, 5, 8192, 12_658_433, 1792, 960], [2, 5, 8192, 2_765_568, 1792, 960])
on_paper.wrong("shape", [2, 5, 8192, 12_658_432, 1792])
on_paper.wrong("not-done", None)

# 3 ---------------------------------------------------------------------------------------------------

coverage = Answers("dcgan.coverage")


@coverage.right
def by_a_layer(n, kernel, stride, padding, output_padding):
    layer = nn.ConvTranspose2d(1, 1, kernel, stride, padding, output_padding, bias=False)
    nn.init.ones_(layer.weight)
    return layer(torch.ones(1, 1, n, n))[0, 0].detach().round()


@coverage.right
def with_four_loops(n, kernel, stride, padding, output_padding):
    m = (n - 1) * stride - 2 * padding + kernel + output_padding
    counts = torch.zeros(m, m, dtype=torch.int64)
    for i in range(n):
        for j in range(n):
            for a in range(kernel):
                for b in range(kernel):
                    y, x = i * stride + a - padding, j * stride + b - padding
                    if 0 <= y < m and 0 <= x < m:
                        counts[y, x] += 1
    return counts


@coverage.right
def with_numpy(n, kernel, stride, padding, output_padding):
    m = (n - 1) * stride - 2 * padding + kernel + output_padding
    reached = (np.arange(n)[:, None] * stride + np.arange(kernel) - padding).ravel()
    line = np.bincount(reached[(reached >= 0) & (reached < m)], minlength=m)
    return np.outer(line, line)


@coverage.right
def by_the_gradient(n, kernel, stride, padding, output_padding):
    m = (n - 1) * stride - 2 * padding + kernel + output_padding
    x = torch.zeros(1, 1, m, m, requires_grad=True)
    read = F.conv2d(x, torch.ones(1, 1, kernel, kernel), stride=stride, padding=padding)[..., :n, :n]
    return torch.autograd.grad(read.sum(), x)[0][0, 0]


@coverage.wrong("added")
def rows_and_columns(n, kernel, stride, padding, output_padding):
    layer = nn.ConvTranspose1d(1, 1, kernel, stride, padding, output_padding, bias=False)
    nn.init.ones_(layer.weight)
    line = layer(torch.ones(1, 1, n)).detach().flatten()
    return line.view(-1, 1) + line


@coverage.wrong("no-borders")
def pattern_of_the_middle(n, kernel, stride, padding, output_padding):
    m = (n - 1) * stride - 2 * padding + kernel + output_padding
    line = torch.tensor([len(range((x + padding) % stride, kernel, stride)) for x in range(m)])
    return torch.outer(line, line)


@coverage.wrong("extra-empty")
def padded_with_zeros(n, kernel, stride, padding, output_padding):
    small = by_a_layer(n, kernel, stride, padding, 0)
    return F.pad(small, (0, output_padding, 0, output_padding))


@coverage.wrong("shape")
def without_padding(n, kernel, stride, padding, output_padding):
    return by_a_layer(n, kernel, stride, 0, 0)


@coverage.wrong("shape")
def one_line(n, kernel, stride, padding, output_padding):
    return by_a_layer(n, kernel, stride, padding, output_padding).diagonal().sqrt()


coverage.wrong("type", lambda *layer: by_a_layer(*layer).tolist())
coverage.wrong("value", lambda n, k, s, p, op: torch.full_like(by_a_layer(n, k, s, p, op), (k / s) ** 2))

# 4 ---------------------------------------------------------------------------------------------------

transposed = Answers("dcgan.transposed")


@transposed.right
def by_torch(y, weight, stride, padding, size):
    small = [(n - 1) * stride - 2 * padding + k for n, k in zip(y.shape[2:], weight.shape[2:], strict=True)]
    extra = [m - n for m, n in zip(size, small, strict=True)]
    return F.conv_transpose2d(y, weight, stride=stride, padding=padding, output_padding=extra)


@transposed.right
def by_autograd(y, weight, stride, padding, size):
    x = torch.zeros(len(y), weight.shape[1], *size, dtype=y.dtype, requires_grad=True)
    return torch.autograd.grad(F.conv2d(x, weight, None, stride, padding), x, grad_outputs=y)[0]


@transposed.right
def scattered(y, weight, stride, padding, size):
    """Each number of y gives its weights back to the pixels that it has read."""
    height, width = size
    x = np.zeros((len(y), weight.shape[1], height + 2 * padding, width + 2 * padding))
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            window = x[:, :, i * stride :, j * stride :][:, :, : weight.shape[2], : weight.shape[3]]
            window += np.einsum("bo,ocuv->bcuv", y[:, :, i, j].numpy(), weight.numpy())
    return x[:, :, padding : padding + height, padding : padding + width]


@transposed.right
def by_folding(y, weight, stride, padding, size):
    columns = weight.flatten(1).T @ y.flatten(2)
    return F.fold(columns, size, weight.shape[2:], padding=padding, stride=stride)


@transposed.right
def as_a_convolution(y, weight, stride, padding, size):
    """Zeros between the pixels, zeros around, and the kernel turned by 180 degrees."""
    b, out, h, w = y.shape
    (kh, kw), (height, width) = weight.shape[2:], size
    wide = torch.zeros(b, out, (h - 1) * stride + 1, (w - 1) * stride + 1, dtype=y.dtype)
    wide[..., ::stride, ::stride] = y
    below, right = height + 2 * padding - kh + 1 - wide.shape[2], width + 2 * padding - kw + 1 - wide.shape[3]
    wide = F.pad(wide, (kw - 1, kw - 1 + right, kh - 1, kh - 1 + below))
    x = F.conv2d(wide, weight.flip(2, 3).transpose(0, 1))
    return x[..., padding : padding + height, padding : padding + width]


@transposed.wrong("kernel-turned")
def zeros_between_and_a_convolution(y, weight, stride, padding, size):
    return as_a_convolution(y, weight.flip(2, 3), stride, padding, size)


@transposed.wrong("deconvolution")
def least_squares(y, weight, stride, padding, size):
    channels = weight.shape[1]
    units = torch.eye(channels * math.prod(size), dtype=y.dtype).view(-1, channels, *size)
    A = F.conv2d(units, weight, None, stride, padding).flatten(1).T
    return (torch.linalg.pinv(A) @ y.flatten(1).T).T.reshape(len(y), channels, *size)


@transposed.wrong("border-empty")
def filled_up(y, weight, stride, padding, size):
    x = F.conv_transpose2d(y, weight, None, stride, padding)
    return F.pad(x, (0, size[1] - x.shape[3], 0, size[0] - x.shape[2]))


@transposed.wrong("averaged")
def divided_by_the_overlap(y, weight, stride, padding, size):
    count = by_torch(torch.ones_like(y[:, :1]), torch.ones_like(weight[:1, :1]), stride, padding, size)
    return by_torch(y, weight, stride, padding, size) / count.clamp(min=1)


@transposed.wrong("shape")
def size_left_out(y, weight, stride, padding, size):
    return F.conv_transpose2d(y, weight, stride=stride, padding=padding)


@transposed.wrong("value")
def stretched(y, weight, stride, padding, size):
    return F.interpolate(size_left_out(y, weight, stride, padding, size), size)


@transposed.wrong("raises")
def channels_exchanged(y, weight, stride, padding, size):
    return by_torch(y, weight.transpose(0, 1), stride, padding, size)


# 5 ---------------------------------------------------------------------------------------------------

initialise = Answers("dcgan.initialise")
CONVOLUTIONS = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)


@initialise.right
def with_apply(net):
    def start(layer):
        if isinstance(layer, CONVOLUTIONS):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, NORMS) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, 0.02)
        else:
            return
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)

    return net.apply(start)


@initialise.right
def by_names_of_classes(net):
    for layer in net.modules():
        name = type(layer).__name__
        if "Conv" in name or name == "Linear":
            layer.weight.data.normal_(0.0, 0.02)
            if layer.bias is not None:
                layer.bias.data.fill_(0)
        if "BatchNorm" in name and layer.weight is not None:
            layer.weight.data.normal_(1.0, 0.02)
            layer.bias.data.fill_(0)


@initialise.right
@torch.no_grad()
def by_shapes(net):
    """Only BatchNorm has weights with one dimension."""
    for name, parameter in net.named_parameters():
        noise = 0.02 * torch.randn_like(parameter)
        parameter.copy_(0 * noise if name.endswith("bias") else noise + (parameter.ndim == 1))


@initialise.right
def by_the_dict_of_states(net):
    for layer in net.modules():
        for name, values in layer.state_dict(keep_vars=True).items():
            if "." not in name and isinstance(values, nn.Parameter):
                scale = name == "weight" and isinstance(layer, NORMS)
                values.data = torch.zeros_like(values) if name == "bias" else 0.02 * torch.randn_like(values) + scale


@initialise.right
def in_recursion(net):
    for layer in net.children():
        if isinstance(layer, (*CONVOLUTIONS, *NORMS)) and layer.weight is not None:
            with torch.no_grad():
                layer.weight.normal_(float(isinstance(layer, NORMS)), 0.02)
                if layer.bias is not None:
                    layer.bias *= 0
        in_recursion(layer)
    return net


@initialise.wrong("state")
def with_new_parameters(net):
    for layer in net.modules():
        if getattr(layer, "weight", None) is not None:
            centre = 1.0 if isinstance(layer, NORMS) else 0.0
            layer.weight = nn.Parameter(torch.empty(layer.weight.shape).normal_(centre, 0.02))
        if getattr(layer, "bias", None) is not None:
            layer.bias = nn.Parameter(torch.zeros(layer.bias.shape))


def wrong_start(
    weight=lambda w: w.normal_(0, 0.02), scale=lambda w: w.normal_(1, 0.02), bias=torch.zero_, kinds=CONVOLUTIONS
):
    """Return an initialisation with one part exchanged."""

    @torch.no_grad()
    def start(net):
        for layer in net.modules():
            if isinstance(layer, (*kinds, *NORMS)):
                draws = (scale if isinstance(layer, NORMS) else weight), bias
                for parameter, draw in zip((layer.weight, layer.bias), draws, strict=True):
                    if parameter is not None and draw is not None:
                        draw(parameter)

    return start


initialise.wrong("scale-around-0", wrong_start(scale=lambda w: w.normal_(0, 0.02)))
initialise.wrong("scale-left", wrong_start(scale=None))
initialise.wrong("scale-at-1", wrong_start(scale=lambda w: w.fill_(1)))
initialise.wrong("bias-left", wrong_start(bias=None))
initialise.wrong("bias-drawn", wrong_start(bias=lambda b: b.normal_(0, 0.02)))
initialise.wrong("variance", wrong_start(weight=lambda w: w.normal_(0, 0.02**0.5)))
initialise.wrong("squared", wrong_start(weight=lambda w: w.normal_(0, 0.02**2)))
initialise.wrong("uniform", wrong_start(weight=lambda w: w.uniform_(-0.02, 0.02)))
initialise.wrong("linear-left", wrong_start(kinds=(nn.Conv2d, nn.ConvTranspose2d)))
initialise.wrong("transposed-left", wrong_start(kinds=(nn.Conv2d, nn.Linear)))
initialise.wrong("state", wrong_start(kinds=()), wrong_start(weight=lambda w: w.normal_(0.02, 1)))
initialise.wrong("state", wrong_start(weight=nn.init.kaiming_normal_), wrong_start(weight=torch.zero_))
initialise.wrong("state", wrong_start(scale=lambda w: w.normal_(1, 0.2)), wrong_start(bias=lambda b: b.fill_(0.02)))
initialise.wrong("state", wrong_start(weight=lambda w: w.uniform_(-0.02 * 3**0.5, 0.02 * 3**0.5)))


initialise.wrong("state", wrong_start(weight=lambda w: nn.init.trunc_normal_(w, 0, 0.02, -0.02, 0.02)))
initialise.wrong("state", wrong_start(weight=lambda w: nn.init.trunc_normal_(w, 0, 0.02, -0.05, 0.05)))
initialise.wrong("state", wrong_start(weight=lambda w: w.normal_(0, 0.0215)))
initialise.wrong("state", wrong_start(scale=lambda w: w.uniform_(1 - 0.02 * 3**0.5, 1 + 0.02 * 3**0.5)))
initialise.wrong("state", wrong_start(scale=lambda w: w.normal_(1, 0.025)))
initialise.wrong("scale-squared", wrong_start(scale=lambda w: w.normal_(1, 0.02**2)))


@initialise.wrong("scale-left")
def pictures_alone(net):
    for layer in net.modules():
        if isinstance(layer, (*CONVOLUTIONS, nn.BatchNorm2d)):
            wrong_start()(layer)


@initialise.wrong("buffers-too")
@torch.no_grad()
def whatever_a_state_dict_holds(net):
    for name, values in net.state_dict().items():
        if name.endswith("weight"):
            values.normal_(1.0 if values.dim() == 1 else 0.0, 0.02)
        else:
            values.zero_()


@initialise.wrong("state")
def frozen(net):
    for parameter in net.parameters():
        parameter.requires_grad = False
    wrong_start()(net)


@initialise.wrong("state")
def biases_taken_away(net):
    wrong_start()(net)
    for layer in net.modules():
        if isinstance(layer, CONVOLUTIONS):
            layer.bias = None


@initialise.wrong("state")
def left_in_eval_mode(net):
    wrong_start()(net.eval())


@initialise.wrong("nested")
def two_levels(net):
    for part in net.children():
        for layer in part if isinstance(part, nn.Sequential) else [part]:
            if not isinstance(layer, nn.Sequential):
                wrong_start()(layer)


@initialise.wrong("nested")
def outermost_layers(net):
    for layer in net.children():
        if not isinstance(layer, nn.Sequential):
            wrong_start()(layer)


@initialise.wrong("state")
def as_given(net):
    for layer in net.children():
        if isinstance(layer, (nn.Conv2d, nn.BatchNorm2d)):
            nn.init.normal_(layer.weight, 0.0, 0.02)


@initialise.wrong("scale-around-0")
def every_parameter(net):
    for parameter in net.parameters():
        nn.init.normal_(parameter, 0.0, 0.02)


@initialise.wrong("bias-left")
def matrices_alone(net):
    for parameter in net.parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, 0.0, 0.02)
    for layer in net.modules():
        if isinstance(layer, NORMS) and layer.affine:
            nn.init.normal_(layer.weight, 1.0, 0.02)


@initialise.wrong("raises")
def biases_everywhere(net):
    for layer in net.modules():
        if isinstance(layer, CONVOLUTIONS):
            nn.init.normal_(layer.weight, 0.0, 0.02)
            nn.init.zeros_(layer.bias)


@initialise.wrong("state")
def another_network(net):
    return wrong_start()(nn.Sequential(*[nn.Linear(2, 2)]))


initialise.wrong("type", lambda net: [0.02 * torch.randn(parameter.shape) for parameter in net.parameters()])

# 6 ---------------------------------------------------------------------------------------------------

batch_normed = Answers("dcgan.batch_normed")


@batch_normed.right
def with_layers(real, fake, together):
    D = nn.BatchNorm2d(real.shape[1])
    if together:
        return D(torch.cat([real, fake])).split([len(real), len(fake)])
    return D(real), D(fake)


@batch_normed.right
def with_the_function(real, fake, together):
    def normed(x):
        return F.batch_norm(x, None, None, training=True)

    if not together:
        return [normed(real), normed(fake)]
    both = normed(torch.cat((fake, real), dim=0))
    return [both[len(fake) :], both[: len(fake)]]


@batch_normed.right
def by_hand(real, fake, together):
    def normed(x, group):
        flat = group.transpose(0, 1).flatten(1)  # (C, samples · pixels)
        mean = flat.mean(dim=1)
        std = torch.sqrt((flat**2).mean(dim=1) - mean**2 + 1e-5)
        return (x - mean[:, None, None]) / std[:, None, None]

    both = torch.cat([real, fake])
    return tuple(normed(x, both if together else x) for x in (real, fake))


@batch_normed.right
def moments_added_up(real, fake, together):
    def sums(x):
        return x.shape[0] * x.shape[2] * x.shape[3], x.sum((0, 2, 3)), x.double().square().sum((0, 2, 3))

    def normed(x, n, total, squares):
        mean = total / n
        var = squares / n - mean.double() ** 2
        return ((x - mean.view(1, -1, 1, 1)) / (var + 1e-5).sqrt().view(1, -1, 1, 1)).float()

    own = sums(real), sums(fake)
    if together:
        own = [tuple(a + b for a, b in zip(*own, strict=True))] * 2
    return normed(real, *own[0]), normed(fake, *own[1])


@batch_normed.wrong("stored")
def in_eval_mode(real, fake, together):
    D = nn.BatchNorm2d(real.shape[1]).eval()
    return D(real), D(fake)


@batch_normed.wrong("always-apart")
def as_the_program_does(real, fake, together):
    return with_layers(real, fake, False)


@batch_normed.wrong("cut")
def statistics_without_graph(real, fake, together):
    def normed(x, group):
        with torch.no_grad():
            mean, std = group.mean((0, 2, 3), True), (group.var((0, 2, 3), False, True) + 1e-5).sqrt()
        return (x - mean) / std

    group = torch.cat([real, fake])
    return normed(real, group if together else real), normed(fake, group if together else fake)


@batch_normed.wrong("unbiased")
def var_as_it_comes(real, fake, together):
    def normed(x, group):
        return (x - group.mean((0, 2, 3), True)) / (group.var((0, 2, 3), keepdim=True) + 1e-5).sqrt()

    group = torch.cat([real, fake])
    return normed(real, group if together else real), normed(fake, group if together else fake)


@batch_normed.wrong("each-picture")
def instance_norm(real, fake, together):
    def normed(x):
        return 0 * x if x[0, 0].numel() == 1 else F.instance_norm(x)

    return normed(real), normed(fake)


@batch_normed.wrong("eps-08")
def the_second_argument(real, fake, together):
    D = nn.BatchNorm2d(real.shape[1], 0.8)
    return D(torch.cat([real, fake])).split([len(real), len(fake)]) if together else (D(real), D(fake))


@batch_normed.wrong("averages")
def running_averages_of_two_calls(real, fake, together):
    if not together:
        return with_layers(real, fake, together)
    mean = (real.mean((0, 2, 3), True) + fake.mean((0, 2, 3), True)) / 2
    var = (real.var((0, 2, 3), False, True) + fake.var((0, 2, 3), False, True)) / 2
    return (real - mean) / (var + 1e-5).sqrt(), (fake - mean) / (var + 1e-5).sqrt()


@batch_normed.right
def with_maps_as_pixels(real, fake, together):
    """One picture of C maps, which hold the pixels of all samples."""

    def normed(x):
        b, c, h, w = x.shape
        return F.instance_norm(x.transpose(0, 1).reshape(1, c, b, h * w)).reshape(c, b, h, w).transpose(0, 1)

    if together:
        return normed(torch.cat([real, fake])).split((len(real), len(fake)))
    return normed(real), normed(fake)


batch_normed.wrong("no-grad", lambda *args: tuple(x.detach() for x in with_layers(*args)))
batch_normed.wrong("type", lambda *args: torch.cat(tuple(with_layers(*args))))
batch_normed.wrong("value", lambda real, fake, together: (real - real.mean(), fake - fake.mean()))

# 7 and 8 ---------------------------------------------------------------------------------------------

readings = Answers("dcgan.readings")
readings.right([0.5, 0.3285, -0.8, 0.2, 17, 0.4, -1], [0.5, -math.log(0.72), -0.8, 0.2, 17, 0.4, -0.99999])
readings.wrong("starts-at-one", [1, 0.3285, -0.8, 0.2, 17, 0.4, -1])
readings.wrong("negative", [0.5, -0.3285, -0.8, 0.2, 17, 0.4, -1])
readings.wrong("third-minimax", [0.5, 0.3285, -0.2, -0.2, 17, 0.4, -1])
readings.wrong("fourth-intended", [0.5, 0.3285, -0.8, -0.2, 17, 0.4, -1])
readings.wrong("each-epoch", [0.5, 0.3285, -0.8, 0.2, 5, 0.4, -1])
readings.wrong("stretched", [0.5, 0.3285, -0.8, 0.2, 17, 0.333, -1])
readings.wrong("alone", [0.5, 0.3285, -0.8, 0.2, 17, 0.4, 1])
readings.wrong("fourth-same", [0.5, 0.3285, -0.8, -0.8, 17, 0.4, -1])
readings.wrong("value", [0.5, 0.3285, -0.8, 0.2, 18, 0.4, -1], [0.52, 0.3285, -0.8, 0.2, 17, 0.4, -1])
readings.wrong("not-done", None)

apart = Answers("dcgan.apart_or_together")
apart.right("The brightness of the fakes stays where it was, and nobody tells G. " * 12)
apart.right("每一批都有自己的均值和方差，" * 12)
apart.wrong("too-short", "Apart.", ". " * 130, "| - | - | " * 40)
apart.wrong("not-done", "")
apart.wrong("type", 1.0)
