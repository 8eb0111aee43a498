import { ModelError } from '../base/errors.ts';
import type { AlphaPolicy, Preprocessing, Resample, Resize } from '../image/preprocessing.ts';

type Config = Readonly<Record<string, unknown>>;
type Triple = readonly [number, number, number];

/** How a processor class reads a bare `"size": 224`, and whether it crops or rescales first where its file is silent. */
interface Family {
  bareSize: 'shortest_edge' | 'square';
  crops: boolean;
  rescaleBeforeResize: boolean;
}

const CROPPING: Family = { bareSize: 'shortest_edge', crops: true, rescaleBeforeResize: false };
const SQUARE: Family = { bareSize: 'square', crops: false, rescaleBeforeResize: false };
const FAMILIES: Readonly<Record<string, Family>> = {
  BitImageProcessor: CROPPING,
  BitImageProcessorFast: CROPPING,
  CLIPImageProcessor: CROPPING,
  CLIPImageProcessorFast: CROPPING,
  CLIPFeatureExtractor: CROPPING,
  ViTImageProcessor: SQUARE,
  ViTImageProcessorFast: SQUARE,
  ViTFeatureExtractor: SQUARE,
  SiglipImageProcessor: SQUARE,
  SiglipImageProcessorFast: SQUARE,
  DINOv3ViTImageProcessorFast: { bareSize: 'square', crops: false, rescaleBeforeResize: true },
};

/** PIL's numbers. */
const RESAMPLE: Readonly<Record<number, Resample>> = {
  0: 'nearest',
  1: 'lanczos',
  2: 'bilinear',
  3: 'bicubic',
};

/** Steps of other processors that would change the picture: better refused than left out in silence. */
const UNSUPPORTED_STEPS = [
  'do_pad',
  'do_thumbnail',
  'do_align_long_axis',
  'do_flip_channel_order',
  'crop_pct',
];

const DEFAULT_RESCALE = 1 / 255;

/**
 * The preprocessing that a `preprocessor_config.json` describes: DINOv2's, CLIP's, SigLIP's, ViT's, DINOv3's and
 * ConvNeXt's processors. Our own policies may stand under `gpu_handlers` (`orient`, `alpha`).
 * @throws ModelError `processor_invalid` that names the key and the value that has no meaning here.
 */
export function parseProcessor(json: string, where = 'preprocessor_config.json'): Preprocessing {
  const config = withoutCropShare(parseObject(json, where), where);
  const fail = (key: string, expected: string): ModelError => invalid(where, key, config[key], expected);

  const family = familyOf(config, where);
  for (const key of UNSUPPORTED_STEPS) {
    const value = config[key];
    if (value !== undefined && value !== null && value !== false)
      throw fail(key, 'absent: this step is not supported');
  }
  const flag = (key: string, fallback: boolean): boolean => {
    const value = config[key] ?? fallback;
    if (typeof value !== 'boolean') throw fail(key, 'true or false');
    return value;
  };
  if (!flag('do_resize', true)) throw fail('do_resize', 'true: the model takes pictures of one size');
  const crop = flag('do_center_crop', family.crops) ? sizeOf(config, 'crop_size', where) : null;
  const resize = resizeOf(config, family, where);
  if (crop === null && resize.kind === 'shortest_edge') {
    throw fail('size', 'height and width, or do_center_crop: pictures would differ in size');
  }
  const resample = RESAMPLE[typeof config.resample === 'number' ? config.resample : -1];
  if (resample === undefined) throw fail('resample', '0 (nearest), 1 (lanczos), 2 (bilinear) or 3 (bicubic)');
  const rescale = flag('do_rescale', true) ? (config.rescale_factor ?? DEFAULT_RESCALE) : 1;
  if (typeof rescale !== 'number' || !(rescale > 0)) throw fail('rescale_factor', 'a number above 0');
  const normalise = flag('do_normalize', true);
  return {
    resize,
    resample,
    crop,
    rescale,
    mean: normalise ? triple(config, 'image_mean', where) : [0, 0, 0],
    std: normalise ? triple(config, 'image_std', where, true) : [1, 1, 1],
    rescaleBeforeResize: family.rescaleBeforeResize,
    ...policies(config.gpu_handlers, where),
  };
}

/** The same as a `preprocessor_config.json`: `parseProcessor(processorConfig(p))` equals `p`. */
export function processorConfig(p: Preprocessing): Record<string, unknown> {
  const { resize, crop } = p;
  const code = Object.entries(RESAMPLE).find(([, name]) => name === p.resample)?.[0];
  return {
    image_processor_type: p.rescaleBeforeResize ? 'DINOv3ViTImageProcessorFast' : 'BitImageProcessor',
    do_resize: true,
    size:
      resize.kind === 'exact'
        ? { height: resize.height, width: resize.width }
        : { shortest_edge: resize.size },
    resample: Number(code),
    do_center_crop: crop !== null,
    ...(crop === null ? {} : { crop_size: { height: crop.height, width: crop.width } }),
    do_rescale: true,
    rescale_factor: p.rescale,
    do_normalize: true,
    image_mean: [...p.mean],
    image_std: [...p.std],
    gpu_handlers: { orient: p.orient, alpha: p.alpha },
  };
}

/** Of ConvNeXt's processor: from here on the picture is stretched instead of cropped. */
const UNCROPPED_SIZE = 384;
const CROP_SHARE = 224 / 256;

/** ConvNeXt's processor (ResNet's too) says which share of the resized picture is kept: the same in sizes. */
function withoutCropShare(config: Config, where: string): Config {
  const type = config.image_processor_type ?? config.feature_extractor_type;
  if (typeof type !== 'string' || !/^ConvNext(?:ImageProcessor(?:Fast)?|FeatureExtractor)$/.test(type))
    return config;
  const { crop_pct: share, ...rest } = config;
  const side = isObject(config.size) ? config.size.shortest_edge : config.size;
  if (!isPixels(side)) throw invalid(where, 'size', config.size, 'a shortest edge in pixels');
  const kept = share ?? CROP_SHARE;
  if (typeof kept !== 'number' || !(kept > 0 && kept <= 1)) {
    throw invalid(where, 'crop_pct', share, 'a number above 0, at most 1');
  }
  const size =
    side < UNCROPPED_SIZE ? { shortest_edge: Math.floor(side / kept) } : { width: side, height: side };
  return {
    ...rest,
    image_processor_type: 'BitImageProcessor',
    size,
    do_center_crop: side < UNCROPPED_SIZE,
    crop_size: side,
  };
}

function familyOf(config: Config, where: string): Family {
  const key = config.image_processor_type === undefined ? 'feature_extractor_type' : 'image_processor_type';
  const type = config[key];
  const family = typeof type === 'string' ? FAMILIES[type] : undefined;
  if (family === undefined) throw invalid(where, key, type, `one of ${Object.keys(FAMILIES).join(', ')}`);
  return family;
}

function resizeOf(config: Config, family: Family, where: string): Resize {
  const { size } = config;
  if (isPixels(size)) {
    return family.bareSize === 'square'
      ? { kind: 'exact', width: size, height: size }
      : { kind: 'shortest_edge', size };
  }
  if (isObject(size) && isPixels(size.shortest_edge) && size.longest_edge === undefined) {
    return { kind: 'shortest_edge', size: size.shortest_edge };
  }
  const { width, height } = sizeOf(config, 'size', where);
  return { kind: 'exact', width, height };
}

function sizeOf(config: Config, key: string, where: string): { width: number; height: number } {
  const value = config[key];
  if (isPixels(value)) return { width: value, height: value };
  if (isObject(value) && isPixels(value.width) && isPixels(value.height)) {
    return { width: value.width, height: value.height };
  }
  throw invalid(
    where,
    key,
    value,
    'a number of pixels, or {"height", "width"}, or for "size" {"shortest_edge"}',
  );
}

function triple(config: Config, key: string, where: string, notZero = false): Triple {
  const value = config[key];
  if (
    Array.isArray(value) &&
    value.length === 3 &&
    value.every((v) => Number.isFinite(v) && !(notZero && v === 0))
  ) {
    const [r, g, b] = value as unknown as Triple;
    return [r, g, b];
  }
  throw invalid(where, key, value, `three numbers${notZero ? ' other than 0' : ''}`);
}

function policies(value: unknown, where: string): { orient: boolean; alpha: AlphaPolicy } {
  const own = value ?? {};
  if (!isObject(own)) throw invalid(where, 'gpu_handlers', value, 'an object');
  const { orient = true, alpha = 'drop' } = own;
  if (typeof orient !== 'boolean') throw invalid(where, 'gpu_handlers.orient', orient, 'true or false');
  if (alpha !== 'drop' && alpha !== 'white' && alpha !== 'black') {
    throw invalid(where, 'gpu_handlers.alpha', alpha, 'drop, white or black');
  }
  return { orient, alpha };
}

function parseObject(json: string, where: string): Config {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new ModelError('processor_invalid', `${where} is no JSON`, { cause });
  }
  if (!isObject(value)) throw new ModelError('processor_invalid', `${where} holds no JSON object`);
  return value;
}

function isObject(value: unknown): value is Config {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Above this a size is a mistake, and its pictures would not fit in memory. */
const MAX_SIDE_PX = 4096;

function isPixels(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) <= MAX_SIDE_PX;
}

function invalid(where: string, key: string, value: unknown, expected: string): ModelError {
  const shown = value === undefined ? 'absent' : JSON.stringify(value);
  return new ModelError('processor_invalid', `${where}: ${key} is ${shown}, expected ${expected}`);
}
