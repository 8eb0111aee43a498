import { describe, expect, test } from '@jest/globals';

import { CATALOGUE, MODEL_TYPES } from '../../src/model/catalogue.ts';
import { parseProcessor, processorConfig } from '../../src/model/processor.ts';

const IMAGENET = { image_mean: [0.485, 0.456, 0.406], image_std: [0.229, 0.224, 0.225] };
const CLIP = {
  image_mean: [0.48145466, 0.4578275, 0.40821073],
  image_std: [0.26862954, 0.26130258, 0.27577711],
};
const HALF = { image_mean: [0.5, 0.5, 0.5], image_std: [0.5, 0.5, 0.5] };

/** The files as the models' authors publish them. */
const DINOV2 = {
  crop_size: { height: 224, width: 224 },
  do_center_crop: true,
  do_convert_rgb: true,
  do_normalize: true,
  do_rescale: true,
  do_resize: true,
  ...IMAGENET,
  image_processor_type: 'BitImageProcessor',
  resample: 3,
  rescale_factor: 0.00392156862745098,
  size: { shortest_edge: 256 },
};
const OLD_CLIP = {
  crop_size: 224,
  do_center_crop: true,
  do_normalize: true,
  do_resize: true,
  feature_extractor_type: 'CLIPFeatureExtractor',
  ...CLIP,
  resample: 3,
  size: 224,
};
const DINOV3 = {
  crop_size: null,
  data_format: 'channels_first',
  default_to_square: true,
  device: null,
  do_center_crop: null,
  do_normalize: true,
  do_rescale: true,
  do_resize: true,
  ...IMAGENET,
  image_processor_type: 'DINOv3ViTImageProcessorFast',
  resample: 2,
  rescale_factor: 0.00392156862745098,
  size: { height: 224, width: 224 },
};
const SIGLIP = {
  do_normalize: true,
  do_rescale: true,
  do_resize: true,
  ...HALF,
  image_processor_type: 'SiglipImageProcessor',
  resample: 3,
  rescale_factor: 0.00392156862745098,
  size: { height: 224, width: 224 },
};

const parse = (config: unknown) => parseProcessor(JSON.stringify(config));

describe('published files', () => {
  test('agree with the catalogue', () => {
    expect(parse(DINOV2)).toEqual(CATALOGUE['dinov2-base'].preprocessing);
    expect(parse(DINOV3)).toEqual(CATALOGUE['dinov3-base'].preprocessing);
    expect(parse(OLD_CLIP)).toEqual(CATALOGUE['clip-vit-b-32'].preprocessing);
  });

  test('SigLIP: a square, no crop', () => {
    expect(parse(SIGLIP)).toEqual({
      resize: { kind: 'exact', width: 224, height: 224 },
      resample: 'bicubic',
      crop: null,
      rescale: 1 / 255,
      mean: [0.5, 0.5, 0.5],
      std: [0.5, 0.5, 0.5],
      rescaleBeforeResize: false,
      orient: true,
      alpha: 'drop',
    });
  });

  test('flags that are off leave their step out', () => {
    const off = parse({
      ...SIGLIP,
      do_rescale: false,
      do_normalize: false,
      image_mean: null,
      image_std: null,
    });
    expect(off).toMatchObject({ rescale: 1, mean: [0, 0, 0], std: [1, 1, 1] });
    expect(
      parse({ ...DINOV2, do_center_crop: false, size: 224, image_processor_type: 'ViTImageProcessor' }),
    ).toMatchObject({ crop: null, resize: { kind: 'exact', width: 224, height: 224 } });
  });

  test.each([
    [0, 'nearest'],
    [1, 'lanczos'],
    [2, 'bilinear'],
    [3, 'bicubic'],
  ])('resample %i is %s', (code, name) => {
    expect(parse({ ...DINOV2, resample: code }).resample).toBe(name);
  });
});

test.each(MODEL_TYPES)('%s: what is written reads back equal', (type) => {
  const { preprocessing } = CATALOGUE[type];
  expect(parse(processorConfig(preprocessing))).toEqual(preprocessing);
  const other = { ...preprocessing, orient: false, alpha: 'white' as const };
  expect(parse(processorConfig(other))).toEqual(other);
});

describe('refused, with key and value', () => {
  test.each<[string, object, RegExp]>([
    [
      'an unknown processor',
      { image_processor_type: 'FancyProcessor' },
      /image_processor_type is "FancyProcessor"/,
    ],
    ['no processor', { image_processor_type: undefined }, /feature_extractor_type is absent/],
    ['resample 4 (box)', { resample: 4 }, /resample is 4/],
    ['no resample', { resample: undefined }, /resample is absent/],
    ['a flag that is none', { do_normalize: 'yes' }, /do_normalize is "yes", expected true or false/],
    ['pictures as they come', { do_resize: false }, /do_resize is false/],
    ['two means', { image_mean: [0.5, 0.5] }, /image_mean is \[0.5,0.5\], expected three numbers/],
    ['a deviation of zero', { image_std: [0.5, 0, 0.5] }, /image_std is \[0.5,0,0.5\]/],
    ['no mean', { image_mean: undefined }, /image_mean is absent/],
    ['a longest edge', { size: { longest_edge: 512 } }, /size is \{"longest_edge":512\}/],
    ['sizes that differ', { do_center_crop: false }, /size is \{"shortest_edge":256\}/],
    ['a size of zero', { size: 0 }, /size is 0/],
    ['a crop of half pixels', { crop_size: 22.5 }, /crop_size is 22.5/],
    ['padding', { do_pad: true }, /do_pad is true/],
    ['a negative factor', { rescale_factor: -1 }, /rescale_factor is -1/],
    ['an alpha policy that is none', { gpu_handlers: { alpha: 'pink' } }, /gpu_handlers.alpha is "pink"/],
  ])('%s', (_, change, message) => {
    expect(() => parse({ ...DINOV2, ...change })).toThrow(message);
  });

  test('no JSON, and JSON of another shape', () => {
    expect(() => parseProcessor('<html>', '/models/x/preprocessor_config.json')).toThrow(
      '/models/x/preprocessor_config.json',
    );
    expect(() => parseProcessor('[1]')).toThrow(/no JSON object/);
  });
});

describe("ConvNeXt's processor, which tells a share in the place of a crop", () => {
  const convnext = {
    do_resize: true,
    do_normalize: true,
    ...IMAGENET,
    resample: 3,
    crop_pct: 0.875,
    size: 224,
  };

  test.each(['ConvNextFeatureExtractor', 'ConvNextImageProcessor'])('as %s', (type) => {
    const key = type.endsWith('Extractor') ? 'feature_extractor_type' : 'image_processor_type';
    expect(parseProcessor(JSON.stringify({ ...convnext, [key]: type }))).toMatchObject({
      resize: { kind: 'shortest_edge', size: 256 },
      crop: { width: 224, height: 224 },
      resample: 'bicubic',
    });
  });

  test('stretches from 384 pixels on, and takes its usual share where none is said', () => {
    const type = { image_processor_type: 'ConvNextImageProcessor' };
    const large = { ...convnext, ...type, size: { shortest_edge: 384 } };
    expect(parseProcessor(JSON.stringify(large))).toMatchObject({
      resize: { kind: 'exact', width: 384, height: 384 },
      crop: null,
    });
    const silent = { ...convnext, ...type, crop_pct: null, size: { shortest_edge: 192 } };
    expect(parseProcessor(JSON.stringify(silent))).toMatchObject({
      resize: { kind: 'shortest_edge', size: 219 },
      crop: { width: 192, height: 192 },
    });
  });

  test.each([
    ['crop_pct', { crop_pct: 2 }],
    ['size', { size: { height: 3 } }],
  ])('refuses another %s', (key, part) => {
    const config = { ...convnext, ...part, image_processor_type: 'ConvNextImageProcessor' };
    expect(() => parseProcessor(JSON.stringify(config))).toThrow(
      expect.objectContaining({ code: 'processor_invalid' }),
    );
    expect(() => parseProcessor(JSON.stringify(config))).toThrow(key);
  });
});
