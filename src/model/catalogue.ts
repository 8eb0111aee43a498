import type { Preprocessing } from '../image/preprocessing.ts';
import type { Pooling } from '../onnx/rewrite.ts';
import { demoPreprocessing } from './small/demo-descriptor.ts';

export const MODEL_TYPES = [
  'dinov2-small',
  'dinov2-base',
  'dinov2-large',
  'dinov3-small',
  'dinov3-base',
  'dinov3-large',
  'clip-vit-b-16',
  'clip-vit-b-32',
  'clip-vit-l-14',
  'demo',
] as const;
export type ModelType = (typeof MODEL_TYPES)[number];

/** What is known of a model before its file is seen. The file decides; what differs is refused by name. */
export interface CatalogueEntry {
  /** Where it is published; null for a model that this package builds itself. */
  source: { repository: string; file: string } | null;
  input: string;
  /** Outputs that will do, the best first. */
  outputs: readonly { name: string; pooling: Pooling }[];
  /** Null: as the file has it. */
  dim: number | null;
  /** Used where no `preprocessor_config.json` lies beside the file. */
  preprocessing: Preprocessing;
  licence: string;
}

const RESCALE = 1 / 255;
const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const CLIP = {
  mean: [0.48145466, 0.4578275, 0.40821073],
  std: [0.26862954, 0.26130258, 0.27577711],
} as const;
const POLICY = { orient: true, alpha: 'drop' } as const;
const CROP_224 = { width: 224, height: 224 };

const DINOV2_PREPROCESSING: Preprocessing = {
  resize: { kind: 'shortest_edge', size: 256 },
  resample: 'bicubic',
  crop: CROP_224,
  rescale: RESCALE,
  ...IMAGENET,
  rescaleBeforeResize: false,
  ...POLICY,
};
const DINOV3_PREPROCESSING: Preprocessing = {
  resize: { kind: 'exact', width: 224, height: 224 },
  resample: 'bilinear',
  crop: null,
  rescale: RESCALE,
  ...IMAGENET,
  rescaleBeforeResize: true,
  ...POLICY,
};
const CLIP_PREPROCESSING: Preprocessing = {
  resize: { kind: 'shortest_edge', size: 224 },
  resample: 'bicubic',
  crop: CROP_224,
  rescale: RESCALE,
  ...CLIP,
  rescaleBeforeResize: false,
  ...POLICY,
};

const INPUT = 'pixel_values';
/** Both hold the class token after the last norm. */
const CLASS_TOKEN = [
  { name: 'last_hidden_state', pooling: 'class_token' },
  { name: 'pooler_output', pooling: 'as_is' },
] as const;

function dinov2(size: string, dim: number): CatalogueEntry {
  return {
    source: { repository: `onnx-community/dinov2-${size}`, file: 'onnx/model.onnx' },
    input: INPUT,
    outputs: CLASS_TOKEN,
    dim,
    preprocessing: DINOV2_PREPROCESSING,
    licence: 'Apache-2.0',
  };
}

function dinov3(size: string, dim: number): CatalogueEntry {
  return {
    source: { repository: `onnx-community/dinov3-${size}-pretrain-lvd1689m-ONNX`, file: 'onnx/model.onnx' },
    input: INPUT,
    outputs: CLASS_TOKEN,
    dim,
    preprocessing: DINOV3_PREPROCESSING,
    licence: 'DINOv3 License',
  };
}

/** The projected embedding only: CLIP's `pooler_output` is another space, of another length. */
function clip(size: string, dim: number): CatalogueEntry {
  return {
    source: { repository: `Xenova/clip-vit-${size}`, file: 'onnx/vision_model.onnx' },
    input: INPUT,
    outputs: [{ name: 'image_embeds', pooling: 'as_is' }],
    dim,
    preprocessing: CLIP_PREPROCESSING,
    licence: 'MIT',
  };
}

/** Every model that a job can name. */
export const CATALOGUE: Readonly<Record<ModelType, CatalogueEntry>> = {
  'dinov2-small': dinov2('small', 384),
  'dinov2-base': dinov2('base', 768),
  'dinov2-large': dinov2('large', 1024),
  'dinov3-small': dinov3('vits16', 384),
  'dinov3-base': dinov3('vitb16', 768),
  'dinov3-large': dinov3('vitl16', 1024),
  'clip-vit-b-16': clip('base-patch16', 512),
  'clip-vit-b-32': clip('base-patch32', 512),
  'clip-vit-l-14': clip('large-patch14', 768),
  demo: {
    source: null,
    input: INPUT,
    outputs: [{ name: 'image_embeds', pooling: 'as_is' }],
    dim: null,
    preprocessing: demoPreprocessing,
    licence: 'MIT',
  },
};
