"""Writes test/fixtures/training: small models as exporters write them, and what torch says of them.

    pip install torch torchvision timm transformers onnx onnxscript
    python scripts/write-training-fixtures.py test/fixtures/training [name ...]

For each model: `model.onnx`, `gradients.bin` (float32, the tensors of `expected.json` one after another, in the layout of
the file's initializers) and `expected.json`: the loss, where each gradient lies, and the losses of six steps of AdamW.
Pictures and targets are not stored: `random_numbers` gives the same numbers as src/model/small/random.ts.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import timm
import torch
import torchvision
from onnx import numpy_helper
from timm.layers import BatchNormAct2d
from torch import nn
from transformers import Dinov2Config, Dinov2ForImageClassification

warnings.filterwarnings("ignore")

BATCH = 2
CLASSES = 5
STEPS = 6
ADAMW = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.05}


def random_numbers(seed, count):
    """mulberry32 in [-1, 1), as src/model/small/random.ts."""
    state, out, mask = seed & 0xFFFFFFFF, np.empty(count, np.float64), 0xFFFFFFFF
    for i in range(count):
        state = (state + 0x6D2B79F5) & mask
        t = ((state ^ (state >> 15)) * (state | 1)) & mask
        t ^= (t + ((t ^ (t >> 7)) * (t | 61))) & mask
        out[i] = (t ^ (t >> 14)) / 2**31 - 1
    return out.astype(np.float32)


def vit():
    return timm.models.vision_transformer.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=CLASSES
    )


def dinov2():
    return timm.models.vision_transformer.VisionTransformer(
        img_size=28, patch_size=14, embed_dim=16, depth=2, num_heads=2, num_classes=CLASSES, init_values=0.5, reg_tokens=2
    )


class Logits(nn.Module):
    """A transformers model as a function of the pictures alone."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pictures):
        return self.model(pixel_values=pictures).logits


def dinov2_transformers():
    """Trained on 56 × 56, fed with less: the position embeddings are resized in the graph."""
    config = Dinov2Config(
        hidden_size=16, num_hidden_layers=1, num_attention_heads=2, image_size=56, patch_size=14, num_labels=CLASSES,
        attn_implementation="eager",
    )
    return Logits(Dinov2ForImageClassification(config))


def resnet():
    block = timm.models.resnet.Bottleneck
    return timm.models.resnet.ResNet(block, layers=(1, 1, 1, 1), channels=(4, 6, 6, 8), stem_width=4, num_classes=CLASSES)


def convnext():
    return timm.models.convnext.ConvNeXt(depths=(1, 1, 1, 1), dims=(6, 8, 12, 16), num_classes=CLASSES)


def efficientnet(name, **options):
    kinds = {
        "efficientnet": ["ds_r1_k3_s1_e1_c8_se0.25", "ir_r2_k5_s2_e4_c8_se0.25", "ir_r1_k3_s2_e4_c12_se0.25"],
        "tf_efficientnetv2": ["cn_r1_k3_s1_e1_c8_skip", "er_r1_k3_s2_e2_c8", "ir_r2_k3_s2_e4_c12_se0.25"],
    }
    stages = timm.models._efficientnet_builder.decode_arch_def([[stage] for stage in kinds[name]])
    return timm.models.efficientnet.EfficientNet(
        stages, num_features=24, stem_size=8, num_classes=CLASSES, act_layer=nn.SiLU, **options
    )


def mobilenetv3():
    from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3

    kind = lambda *args: InvertedResidualConfig(*args, width_mult=1.0)
    blocks = [
        kind(8, 3, 16, 8, True, "RE", 2, 1),
        kind(8, 5, 24, 12, False, "HS", 2, 1),
        kind(12, 5, 32, 12, True, "HS", 1, 2),
    ]
    return MobileNetV3(blocks, last_channel=32, num_classes=CLASSES)


def regnet():
    config = timm.models.regnet.RegNetCfg(depth=5, w0=8, wa=6.0, wm=1.6, group_size=4, se_ratio=0.25, stem_width=8)
    return timm.models.regnet.RegNet(config, num_classes=CLASSES)


def swin():
    return timm.models.swin_transformer.SwinTransformer(
        img_size=32, patch_size=4, window_size=4, embed_dim=8, depths=(2, 2), num_heads=(1, 2), num_classes=CLASSES
    )


NEW = {"dynamo": True, "opset_version": 18}
OLD = {"dynamo": False, "opset_version": 17}
OLDER = {"dynamo": False, "opset_version": 14}
# BatchNormalization and what is computed of parameters stay in the file.
UNFOLDED = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}

MODELS = {
    # name: (model, pictures' side, exporter)
    "vit": (vit, 32, NEW),
    "dinov2": (dinov2, 28, OLD),
    "dinov2-transformers": (dinov2_transformers, 42, {**OLD, **UNFOLDED, "open": ["batch", "channels", "height", "width"]}),
    "resnet": (resnet, 48, {**OLD, **UNFOLDED}),
    "convnext": (convnext, 48, OLDER),
    "convnext-opset20": (convnext, 48, {**NEW, "opset_version": 20}),
    "efficientnet": (lambda: efficientnet("efficientnet"), 32, NEW),
    "tf-efficientnetv2": (lambda: efficientnet("tf_efficientnetv2", pad_type="same"), 33, OLD),
    "mobilenetv3": (mobilenetv3, 48, OLD),
    "regnet": (regnet, 48, OLD),
    "swin": (swin, 32, {**OLD, **UNFOLDED}),
}


def randomise(model):
    """No two parameters alike, none at rest: as if trained."""
    torch.manual_seed(7)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
    for name, parameter in model.named_parameters():
        noise = torch.randn_like(parameter)
        if parameter.dim() == 1 and name.endswith("weight"):
            parameter.data = 1 + 0.2 * noise
        elif parameter.dim() == 1 and parameter.numel() > 0 and "gamma" not in name:
            parameter.data = 0.1 * noise
        elif name.endswith("relative_position_bias_table"):
            parameter.data = 0.5 * noise
        elif "head" in name or "fc" in name or "classifier" in name:
            parameter.data = 0.3 * noise
        else:
            parameter.data += 0.02 * noise
    return model.eval()


def fold_batch_norms(model, pictures):
    """What exporters do: each BatchNorm into the convolution that it follows."""
    came_from, pairs, hooks = {}, [], []

    def seen(module, inputs, output):
        if isinstance(module, nn.Conv2d):
            came_from[id(output)] = (module, output)
        elif isinstance(module, nn.BatchNorm2d):
            pairs.append((came_from[id(inputs[0])][0], module))

    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.BatchNorm2d)):
            hooks.append(module.register_forward_hook(seen))
    model(pictures)
    for hook in hooks:
        hook.remove()
    for conv, norm in pairs:
        scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        bias = conv.bias if conv.bias is not None else 0
        folded = norm.bias + (bias - norm.running_mean) * scale
        conv.weight.data = (conv.weight * scale.reshape(-1, 1, 1, 1)).data
        conv.bias = nn.Parameter(folded.data)
        after = nn.Sequential(norm.drop, norm.act) if isinstance(norm, BatchNormAct2d) else nn.Identity()
        for parent in model.modules():
            for name, child in parent.named_children():
                if child is norm:
                    setattr(parent, name, after)
    return model


def loss_of(model, pictures, targets):
    return -(torch.log_softmax(model(pictures), 1) * targets).sum(1).mean()


def place_in_file(parameter, initializers, taken):
    """The initializer that holds a parameter's values, and how a gradient is laid out as it is."""
    values = parameter.detach().numpy()
    for name, stored in initializers.items():
        if name in taken or stored.size != values.size:
            continue
        if np.allclose(stored.ravel(), values.ravel(), rtol=1e-4, atol=1e-6):
            return name, lambda gradient: gradient.reshape(stored.shape)
        if values.ndim == 2 and np.allclose(stored, values.T if stored.shape == values.T.shape else np.inf, rtol=1e-4, atol=1e-6):
            return name, lambda gradient: gradient.T
    return None


def write(name, folder):
    make, side, exporter = MODELS[name]
    open_axes = dict(enumerate(exporter.get("open", ["batch"])))
    exporter = {key: value for key, value in exporter.items() if key != "open"}
    torch.manual_seed(0)
    model = randomise(make())
    pictures = torch.from_numpy(random_numbers(11, BATCH * 3 * side * side).reshape(BATCH, 3, side, side))
    targets = torch.softmax(2 * torch.from_numpy(random_numbers(13, BATCH * CLASSES).reshape(BATCH, CLASSES)), 1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "model.onnx"
    names = {"input_names": ["pixel_values"], "output_names": ["logits"]}
    batch = {"dynamic_shapes": ({0: torch.export.Dim("batch")},), "external_data": False, "verbose": False}
    if not exporter["dynamo"]:
        batch = {"dynamic_axes": {"pixel_values": open_axes, "logits": {0: "batch"}}}
    torch.onnx.export(model, (pictures,), str(path), **names, **batch, **exporter)
    stored = onnx.load(str(path))
    for node in stored.graph.node:
        del node.metadata_props[:]
        node.ClearField("doc_string")
    del stored.graph.value_info[:]
    del stored.metadata_props[:]
    onnx.save(stored, str(path))

    if "training" not in exporter:
        model = fold_batch_norms(model, pictures)
    loss = loss_of(model, pictures, targets)
    loss.backward()
    initializers = {t.name: numpy_helper.to_array(t) for t in stored.graph.initializer}
    found, missing, blob, offset = {}, [], [], 0
    for key, parameter in model.named_parameters():
        if parameter.grad is None:
            continue
        place = place_in_file(parameter, initializers, {entry["initializer"] for entry in found.values()})
        if place is None:
            missing.append(key)
            continue
        gradient = np.ascontiguousarray(place[1](parameter.grad.numpy()), np.float32)
        found[key] = {"initializer": place[0], "dims": list(gradient.shape), "offset": offset}
        blob.append(gradient.ravel())
        offset += gradient.size
    np.concatenate(blob).tofile(folder / "gradients.bin")

    decayed = [p for p in model.parameters() if p.dim() > 1]
    others = [p for p in model.parameters() if p.dim() <= 1]
    optimiser = torch.optim.AdamW([{"params": decayed}, {"params": others, "weight_decay": 0}], **ADAMW)
    losses = []
    for _ in range(STEPS):
        optimiser.zero_grad()
        step_loss = loss_of(model, pictures, targets)
        step_loss.backward()
        optimiser.step()
        losses.append(step_loss.item())
    decay = [entry["initializer"] for key, entry in found.items() if dict(model.named_parameters())[key].dim() > 1]
    expected = {
        "torch": torch.__version__.split("+")[0],
        "batch": BATCH,
        "side": side,
        "classes": CLASSES,
        "loss": loss.item(),
        "gradients": found,
        "notInFile": missing,
        "adamw": {**ADAMW, "decayed": decay, "losses": losses},
    }
    (folder / "expected.json").write_text(json.dumps(expected, indent=1) + "\n")
    size = sum(f.stat().st_size for f in folder.iterdir())
    print(f"{name}: {len(found)} gradients, not in the file: {missing}, losses {losses}, {size // 1024} KiB")


if __name__ == "__main__":
    target = Path(sys.argv[1])
    for wanted in sys.argv[2:] or MODELS:
        write(wanted, target / wanted)
