"""Writes the pictures and reference tensors of test/fixtures/images, with PIL as the reference.

    pip install pillow==11.3.0 numpy && python scripts/write-pil-fixtures.py

Pillow 11: from some later version on, it takes columns before rows where that is cheaper, and so rounds otherwise.
Every picture is drawn here, the same each time. References are lossless WebP files of the exact RGB bytes that PIL's
convert("RGB"), resize and transformers' centre crop make; manifest.json says which belongs to what.
"""

import json
import math
import pathlib
import random
import struct
import zlib

import numpy as np
import PIL
from PIL import Image, ImageDraw, ImageOps

OUT = pathlib.Path(__file__).parent.parent / "test" / "fixtures" / "images"
RESAMPLE = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
    "lanczos": Image.Resampling.LANCZOS,
}
cases = []


def draw(width, height, seed, noise=0.8):
    """Slow gradients, hard-edged shapes, thin lines and a little noise: what a product photo is made of."""
    rng, dice = np.random.default_rng(seed), random.Random(seed)
    y, x = np.mgrid[0:height, 0:width]
    planes = [
        128 + 100 * np.sin(x / width * 5 + y / height * 2),
        128 + 90 * np.cos(y / height * 6),
        128 + 80 * np.sin((x + y) / (width + height) * 9),
    ]
    image = Image.fromarray(np.clip(np.stack(planes, -1), 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(image)
    for i in range(40):
        cx, cy, s = dice.uniform(0, width), dice.uniform(0, height), dice.uniform(0.02, 0.15) * min(width, height)
        colour = tuple(dice.randrange(256) for _ in range(3))
        if i % 3 == 0:
            pen.ellipse([cx - s, cy - s, cx + s, cy + s], fill=colour)
        elif i % 3 == 1:
            pen.rectangle([cx - s, cy - s / 2, cx + s, cy + s / 2], fill=colour)
        else:
            pen.line([cx - s, cy - s, cx + s, cy + s / 3], fill=colour, width=max(1, int(s / 12)))
    noisy = np.asarray(image).astype(float) + rng.normal(0, noise, (height, width, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def resized(image, resize, resample):
    if resize["kind"] == "exact":
        return image.resize((resize["width"], resize["height"]), RESAMPLE[resample])
    width, height = image.size
    short, long = (width, height) if width <= height else (height, width)
    new_short, new_long = resize["size"], int(resize["size"] * long / short)
    return image.resize((new_short, new_long) if width <= height else (new_long, new_short), RESAMPLE[resample])


def centre_crop(image, crop):
    """transformers.image_transforms.center_crop, with its padding."""
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    top, left = (height - crop["height"]) // 2, (width - crop["width"]) // 2
    bottom, right = top + crop["height"], left + crop["width"]
    if top >= 0 and bottom <= height and left >= 0 and right <= width:
        return pixels[top:bottom, left:right]
    new_height, new_width = max(crop["height"], height), max(crop["width"], width)
    padded = np.zeros((new_height, new_width, 3), np.uint8)
    top_pad, left_pad = math.ceil((new_height - height) / 2), math.ceil((new_width - width) / 2)
    padded[top_pad : top_pad + height, left_pad : left_pad + width] = pixels
    top, bottom, left, right = top + top_pad, bottom + top_pad, left + left_pad, right + left_pad
    return padded[max(0, top) : min(new_height, bottom), max(0, left) : min(new_width, right)]


def rgb(path, orient=True, alpha="drop"):
    image = Image.open(OUT / path)
    image.seek(0) if getattr(image, "n_frames", 1) > 1 else None
    if orient:
        image = ImageOps.exif_transpose(image)
    if alpha != "drop":
        over = image.convert("RGBA")
        ground = Image.new("RGBA", over.size, (255, 255, 255, 255) if alpha == "white" else (0, 0, 0, 255))
        image = Image.alpha_composite(ground, over)
    return image.convert("RGB")


def case(name, source, resize=None, resample="bicubic", crop=None, group="", orient=True, alpha="drop", image=None):
    image = rgb(source, orient, alpha) if image is None else image
    resize = resize or {"kind": "exact", "width": image.width, "height": image.height}
    out = resized(image, resize, resample)
    pixels = centre_crop(out, crop) if crop else np.asarray(out)
    Image.fromarray(pixels).save(OUT / f"expected-{name}.webp", lossless=True, quality=100, method=6, exact=True)
    cases.append(
        dict(name=name, group=group, source=source, expected=f"expected-{name}.webp", resize=resize, resample=resample,
             crop=crop, orient=orient, alpha=alpha)
    )


def exact(width, height):
    return {"kind": "exact", "width": width, "height": height}


def shortest(size):
    return {"kind": "shortest_edge", "size": size}


def square(size):
    return {"width": size, "height": size}


def write_sources():
    draw(640, 480, 1).save(OUT / "landscape.jpg", quality=85)
    draw(333, 601, 2).save(OUT / "portrait.jpg", quality=85)
    draw(557, 557, 3).save(OUT / "large.jpg", quality=80)
    draw(256, 192, 4).save(OUT / "opaque.png", optimize=True)
    draw(101, 67, 5, noise=0).save(OUT / "small.png", optimize=True)
    draw(128, 128, 6, noise=40).save(OUT / "noisy.png", optimize=True)
    draw(601, 23, 7).save(OUT / "banner.png", optimize=True)
    draw(1, 1, 8).save(OUT / "one-pixel.png")
    draw(384, 288, 9).save(OUT / "plain.webp", quality=80)

    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        draw(48, 32, 10, noise=0).save(OUT / f"exif-{orientation}.jpg", quality=90, exif=exif.tobytes())

    inks = draw(80, 60, 11, noise=0).convert("CMYK")
    inks.save(OUT / "cmyk.jpg", quality=92)
    inks.save(OUT / "cmyk-profile.jpg", quality=92, icc_profile=cmyk_profile())
    inks.save(OUT / "cmyk.tif", compression="tiff_lzw")
    draw(80, 60, 12, noise=0).save(OUT / "profile.jpg", quality=92, icc_profile=swapped_profile())

    colour = draw(80, 60, 13, noise=2)
    colour.convert("L").save(OUT / "grey.png")
    colour.convert("L").save(OUT / "grey.jpg", quality=90)
    colour.convert("1").save(OUT / "bilevel.png")
    ramp = Image.fromarray(np.tile(np.linspace(0, 255, 80).astype(np.uint8), (60, 1)))
    Image.merge("LA", (colour.convert("L"), ramp)).save(OUT / "grey-alpha.png")
    # Colour that alpha hides: a picture that only `drop` shows.
    hidden = draw(80, 60, 14, noise=0)
    mask = Image.new("L", (80, 60), 0)
    ImageDraw.Draw(mask).ellipse([10, 8, 70, 52], fill=255)
    ImageDraw.Draw(mask).rectangle([0, 0, 20, 20], fill=100)
    hidden.putalpha(mask)
    hidden.save(OUT / "alpha.png")
    hidden.save(OUT / "alpha.webp", lossless=True, exact=True)
    few = colour.quantize(32)
    few.save(OUT / "palette.png")
    few.save(OUT / "palette-alpha.png", transparency=bytes([0, 128] + [255] * 30))
    sixteen = (np.asarray(colour.convert("L")).astype(np.uint16) << 8) | 0x5A
    Image.fromarray(sixteen).save(OUT / "grey-16.png")
    (OUT / "rgb-16.png").write_bytes(rgb16_png((np.asarray(colour).astype(np.uint16) << 8) | 0xA5))

    frames = [draw(80, 60, seed, noise=0) for seed in (15, 16, 17)]
    frames[0].quantize(64).save(
        OUT / "animated.gif", save_all=True, append_images=[f.quantize(64) for f in frames[1:]], duration=50
    )
    frames[0].save(OUT / "animated.webp", save_all=True, append_images=frames[1:], duration=50, lossless=True)
    return colour


def rgb16_png(pixels):
    """PIL writes no RGB of 16 bits."""
    height, width = pixels.shape[:2]

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


def icc(space, tags, kind=b"mntr", connection=b"XYZ "):
    table, body = b"", b""
    start = 128 + 4 + 12 * len(tags)
    for name, data in tags:
        data += b"\0" * (-len(data) % 4)
        table += name + struct.pack(">II", start + len(body), len(data))
        body += data
    size = start + len(body)
    white = struct.pack(">iii", 63190, 65536, 54061)
    header = struct.pack(">I", size) + b"\0" * 4 + struct.pack(">I", 0x02400000) + kind + space + connection
    header += b"\0" * 12 + b"acsp" + b"\0" * 28 + white
    return header.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def swapped_profile():
    """A working profile whose red and blue change places: whoever applies it is found out at once."""

    def xyz(x, y, z):
        return b"XYZ \0\0\0\0" + struct.pack(">iii", *(round(v * 65536) for v in (x, y, z)))

    gamma = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(2.2 * 256)) + b"\0\0"
    text = b"desc\0\0\0\0" + struct.pack(">I", 8) + b"swapped\0" + b"\0" * 78
    return icc(
        b"RGB ",
        [
            (b"desc", text),
            (b"wtpt", xyz(0.9642, 1, 0.8249)),
            (b"rXYZ", xyz(0.1431, 0.0606, 0.7141)),
            (b"gXYZ", xyz(0.3851, 0.7169, 0.0971)),
            (b"bXYZ", xyz(0.4360, 0.2225, 0.0139)),
            (b"rTRC", gamma),
            (b"gTRC", gamma),
            (b"bTRC", gamma),
            (b"cprt", b"text\0\0\0\0none\0"),
        ],
    )


def cmyk_profile():
    """A small working press profile: a table of two points an axis that makes everything one shade of Lab."""
    curves = b"".join(bytes([0, 255]) for _ in range(0))
    linear = bytes(range(256))
    grid = b"".join(bytes([200 - 12 * bin(i).count("1"), 128, 128]) for i in range(16))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + matrix + linear * 4 + grid + linear * 3 + curves
    text = b"desc\0\0\0\0" + struct.pack(">I", 6) + b"press\0" + b"\0" * 78
    return icc(
        b"CMYK",
        [(b"desc", text), (b"wtpt", b"XYZ \0\0\0\0" + struct.pack(">iii", 63190, 65536, 54061)), (b"A2B0", lut),
         (b"cprt", b"text\0\0\0\0none\0")],
        kind=b"prtr",
        connection=b"Lab ",
    )


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    for old in OUT.iterdir():
        old.unlink()
    colour = write_sources()

    # The catalogue's own numbers.
    case("dinov2-landscape", "landscape.jpg", shortest(256), "bicubic", square(224), "model")
    case("dinov2-portrait", "portrait.jpg", shortest(256), "bicubic", square(224), "model")
    case("clip-landscape", "landscape.jpg", shortest(224), "bicubic", square(224), "model")
    case("clip-large", "large.jpg", shortest(224), "bicubic", square(224), "model")
    case("dinov3-landscape", "landscape.jpg", exact(224, 224), "bilinear", None, "model")
    case("dinov2-small", "small.png", shortest(256), "bicubic", square(224), "enlarge")
    case("dinov3-small", "small.png", exact(224, 224), "bilinear", None, "enlarge")

    for kernel in ("bilinear", "bicubic", "lanczos"):
        case(f"half-{kernel}", "opaque.png", exact(128, 96), kernel, None, "half")
        case(f"larger-1.5-{kernel}", "small.png", exact(152, 100), kernel, None, "enlarge")
        case(f"quarter-{kernel}", "opaque.png", exact(64, 48), kernel, None, "quarter")
        case(f"8.7-{kernel}", "large.jpg", exact(64, 64), kernel, None, "8.7")
    case("half-jpeg", "portrait.jpg", exact(167, 301), "bicubic", None, "half")
    case("half-webp", "plain.webp", exact(192, 144), "bicubic", None, "half")
    case("half-noisy", "noisy.png", exact(64, 64), "bicubic", None, "half")
    case("half-odd", "small.png", exact(51, 34), "bicubic", None, "half")
    case("third", "large.jpg", exact(186, 186), "bicubic", None, "third")
    case("larger-3-bicubic", "small.png", exact(303, 201), "bicubic", None, "enlarge")
    case("larger-3-bilinear", "grey.png", exact(240, 180), "bilinear", None, "enlarge")
    case("wider-lower", "small.png", exact(200, 40), "bicubic", None, "mixed")
    case("narrower-higher", "small.png", exact(50, 160), "bilinear", None, "mixed")
    case("banner-square", "banner.png", exact(64, 64), "bicubic", None, "mixed")
    case("banner-crop", "banner.png", shortest(64), "bicubic", square(56), "enlarge")
    case("one-pixel", "one-pixel.png", shortest(32), "bicubic", square(28), "enlarge")
    case("pad-odd", "small.png", exact(51, 34), "bicubic", square(64), "half")
    case("pad-even-one-axis", "small.png", exact(60, 150), "bicubic", square(63), "mixed")
    case("pad-enlarged", "small.png", exact(111, 77), "bicubic", square(120), "enlarge")
    for name, size in (("shrink", (50, 33)), ("enlarge", (150, 120)), ("ties", (202, 201)), ("large", (1010, 670))):
        case(f"nearest-{name}", "small.png", exact(*size), "nearest", None, "same")

    # What a file may be. Not resized: any difference is one of colours, not of kernels.
    for orientation in range(1, 9):
        case(f"exif-{orientation}", f"exif-{orientation}.jpg", group="same")
    case("exif-6-ignored", "exif-6.jpg", group="same", orient=False)
    case("exif-6-half", "exif-6.jpg", exact(16, 24), "bicubic", None, "half")
    for source in (
        "cmyk.jpg cmyk-profile.jpg cmyk.tif profile.jpg grey.png grey.jpg bilevel.png grey-alpha.png alpha.png "
        "alpha.webp palette.png palette-alpha.png rgb-16.png animated.gif animated.webp"
    ).split():
        case(source.replace(".", "-"), source, group="same")
    # PIL's own way with 16-bit grey differs from version to version (older ones clip to white); the upper 8 bits are
    # what it does with 16-bit RGB, and what the picture looks like.
    case("grey-16-png", "grey-16.png", group="same", image=colour.convert("L").convert("RGB"))
    for policy in ("white", "black"):
        for source in ("alpha.png", "grey-alpha.png", "palette-alpha.png"):
            case(f"{source.replace('.', '-')}-{policy}", source, group="flattened", alpha=policy)
        case(f"alpha-half-{policy}", "alpha.png", exact(40, 30), "bicubic", None, "half", alpha=policy)
    case("alpha-half-drop", "alpha.png", exact(40, 30), "bicubic", None, "half")
    case("alpha-larger-drop", "alpha.png", exact(120, 90), "bicubic", None, "enlarge")

    manifest = {"pillow": PIL.__version__, "cases": cases}
    (OUT / "manifest.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    main()
