import type { Picture } from './canvas.ts';
import { PI, ceil, exp, max, min } from './maths.ts';
import type { Random } from './random.ts';

/** How a picture was taken. Lengths in pixels of a picture 200 high; they grow with the picture. */
export interface Exposure {
  /** Factor on all channels, and on each one (white balance). */
  gain: number;
  balance: readonly [number, number, number];
  gamma: number;
  saturation: number;
  /** Change of light from left to right and from top to bottom, as a share. */
  slopeX: number;
  slopeY: number;
  /** Reflection of a lamp: place (shares), length, and strength (0..255); null for none. */
  glare: { x: number; y: number; reach: number; angle: number; strength: number } | null;
  blurX: number;
  blurY: number;
  /** Deviation of the sensor's noise, 0..255. */
  noise: number;
  jpegQuality: number;
}

export function shelfExposure(random: Random): Exposure {
  const warm = random.normal() * 0.055;
  const tint = random.normal() * 0.025;
  const blur = random.between(0.3, 1.1);
  const shaken = random.chance(0.25) ? random.between(0.4, 1.2) : 0;
  return {
    gain: random.between(0.68, 1.18),
    balance: [1 + warm, 1 + tint, 1 - warm],
    gamma: random.between(0.85, 1.2),
    saturation: random.between(0.78, 1.08),
    slopeX: random.between(-0.22, 0.22),
    slopeY: random.between(-0.12, 0.28),
    glare: random.chance(0.3)
      ? {
          x: random.between(0.1, 0.9),
          y: random.between(0.1, 0.9),
          reach: random.between(0.1, 0.25),
          angle: random.between(0, PI),
          strength: random.between(40, 120),
        }
      : null,
    blurX: blur + shaken,
    blurY: blur,
    noise: random.between(2, 8),
    jpegQuality: random.integer(48, 84),
  };
}

/** A photographer's light: nearly neutral, sharp. */
export function studioExposure(random: Random): Exposure {
  const base = shelfExposure(random);
  return {
    ...base,
    gain: random.between(0.92, 1.06),
    gamma: 1,
    saturation: random.between(0.95, 1.05),
    balance: [1 + random.normal() * 0.015, 1, 1 + random.normal() * 0.015],
    slopeX: base.slopeX * 0.3,
    slopeY: base.slopeY * 0.3,
    glare: null,
    blurX: 0.4,
    blurY: 0.4,
    noise: 1.5,
    jpegQuality: 88,
  };
}

/** Takes the picture: light first, then the lens, then the sensor. Works on `light` (red, green, blue, 0..255) itself. */
export function expose(
  light: Float32Array,
  size: { width: number; height: number },
  exposure: Exposure,
  random: Random,
): Picture {
  const { width, height } = size;
  illuminate(light, width, height, exposure);
  const scale = height / 200;
  blur(light, { width, height, sigma: exposure.blurX * scale, step: 3 });
  blur(light, { width, height, sigma: exposure.blurY * scale, step: width * 3 });
  const data = new Uint8ClampedArray(light.length);
  for (let i = 0; i < light.length; i += 3) {
    // Mostly shared by the channels (light), a little of each one's own (colour); triangular, nearly Gaussian.
    const grey = (random.next() + random.next() - 1) * 2.4 * exposure.noise;
    for (let c = 0; c < 3; c++)
      data[i + c] = (light[i + c] ?? 0) + grey + (random.next() - 0.5) * exposure.noise;
  }
  return { width, height, data };
}

function illuminate(light: Float32Array, width: number, height: number, exposure: Exposure): void {
  const { glare, balance, saturation } = exposure;
  const curve = Float32Array.from({ length: 256 }, (_, v) => 255 * (v / 255) ** exposure.gamma);
  const [sin, cos] = glare === null ? [0, 1] : [Math.sin(glare.angle), Math.cos(glare.angle)];
  for (let y = 0; y < height; y++) {
    const v = y / height - 0.5;
    for (let x = 0; x < width; x++) {
      const u = x / width - 0.5;
      const at = (y * width + x) * 3;
      const gain = exposure.gain * (1 + exposure.slopeX * u + exposure.slopeY * v);
      let shine = 0;
      if (glare !== null) {
        const [dx, dy] = [u + 0.5 - glare.x, v + 0.5 - glare.y];
        const along = (dx * cos + dy * sin) / glare.reach;
        const over = (dy * cos - dx * sin) / (glare.reach * 0.3);
        shine = glare.strength * max(0, 1 - along * along - over * over);
      }
      const red = curve[(light[at] ?? 0) | 0] ?? 255;
      const green = curve[(light[at + 1] ?? 0) | 0] ?? 255;
      const blue = curve[(light[at + 2] ?? 0) | 0] ?? 255;
      const grey = 0.299 * red + 0.587 * green + 0.114 * blue;
      light[at] = (grey + (red - grey) * saturation) * gain * balance[0] + shine;
      light[at + 1] = (grey + (green - grey) * saturation) * gain * balance[1] + shine;
      light[at + 2] = (grey + (blue - grey) * saturation) * gain * balance[2] + shine;
    }
  }
}

/** Gaussian along one direction (`step` values apart), the edge repeated. */
function blur(
  light: Float32Array,
  line: { width: number; height: number; sigma: number; step: number },
): void {
  const { width, height, sigma, step } = line;
  const radius = ceil(2.5 * sigma);
  if (radius < 1 || sigma < 0.2) return;
  const kernel = Float32Array.from({ length: 2 * radius + 1 }, (_, i) =>
    exp(-((i - radius) ** 2) / (2 * sigma * sigma)),
  );
  const total = kernel.reduce((sum, k) => sum + k, 0);
  const along = step === 3;
  const count = along ? width : height;
  const lines = along ? height : width;
  const buffer = new Float32Array(count + 2 * radius);
  for (let l = 0; l < lines; l++) {
    for (let c = 0; c < 3; c++) {
      const start = (along ? l * width * 3 : l * 3) + c;
      for (let i = 0; i < buffer.length; i++) {
        buffer[i] = light[start + min(count - 1, max(0, i - radius)) * step] ?? 0;
      }
      for (let i = 0; i < count; i++) {
        let sum = 0;
        for (let k = 0; k < kernel.length; k++) sum += (buffer[i + k] ?? 0) * (kernel[k] ?? 0);
        light[start + i * step] = sum / total;
      }
    }
  }
}
