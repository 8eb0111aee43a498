import type { Preprocessing } from '../image/preprocessing.ts';
import { readModel } from '../onnx/codec.ts';
import { dimsOf, requiredInputs } from '../onnx/inspect.ts';
import { CATALOGUE } from './catalogue.ts';
import { findPlacedModel, type ModelFiles, type ModelPlace, type PlacesOptions } from './files.ts';
import { buildDemoDescriptor } from './small/demo-descriptor.ts';

/** Models that a classifier may be trained from, by the names that jobs use (timm's). */
export const BACKBONE_NAMES = [
  'vit_tiny_patch16_224',
  'vit_small_patch16_224',
  'vit_base_patch16_224',
  'vit_large_patch16_224',
  'convnext_tiny',
  'convnext_small',
  'convnext_base',
  'efficientnet_b0',
  'efficientnet_b1',
  'efficientnet_b2',
  'efficientnet_b3',
  'efficientnetv2_s',
  'efficientnetv2_m',
  'efficientnetv2_rw_s',
  'efficientnetv2_rw_m',
  'tf_efficientnetv2_s',
  'tf_efficientnetv2_m',
  'swin_tiny_patch4_window7_224',
  'swin_small_patch4_window7_224',
  'swin_base_patch4_window7_224',
  'resnet50',
  'resnet101',
  'dinov2_vits14',
  'dinov2_vitb14',
  'demo',
] as const;
export type BackboneName = (typeof BACKBONE_NAMES)[number];

/** Names that have no trained weights, and what is meant. */
export const RENAMED: Readonly<Partial<Record<BackboneName, BackboneName>>> = {
  efficientnetv2_s: 'tf_efficientnetv2_s',
  efficientnetv2_m: 'tf_efficientnetv2_m',
};

/** Outputs of a file that hold features, the best first. */
type FeatureOutputs = readonly { name: string; pooling: 'class_token' | 'as_is' }[];

export interface Backbone extends ModelFiles {
  /** Pixels of a side, as the file is run. */
  side: number;
  /** Null: what the file's last linear layer reads. */
  features: FeatureOutputs | null;
  /** Has it weights that can learn? */
  isTrainable: boolean;
}

const RESCALE = 1 / 255;
const IMAGENET = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
const HALF = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;
const POLICY = { rescaleBeforeResize: false, orient: true, alpha: 'drop' } as const;

interface Row {
  /** Pixels of a side it was trained with, and the part of the resized picture that this is. */
  side: number;
  crop: number;
  normalise: typeof IMAGENET | typeof HALF;
  source: ModelPlace['source'];
}

/** Exports of timm's weights, one folder a model. */
const timm = (name: string): ModelPlace['source'] => ({
  repository: 'deepghs/timms',
  file: `${name}/model.onnx`,
});
const hub = (repository: string): ModelPlace['source'] => ({ repository, file: 'onnx/model.onnx' });
const row = (side: number, crop: number, normalise: Row['normalise'], source: Row['source']): Row => ({
  side,
  crop,
  normalise,
  source,
});

/** docs/models.md says which of these files were seen. */
const ROWS: Readonly<Record<Exclude<BackboneName, 'demo' | 'efficientnetv2_s' | 'efficientnetv2_m'>, Row>> = {
  vit_tiny_patch16_224: row(224, 0.9, HALF, timm('vit_tiny_patch16_224.augreg_in21k_ft_in1k')),
  vit_small_patch16_224: row(224, 0.9, HALF, timm('vit_small_patch16_224.augreg_in21k_ft_in1k')),
  vit_base_patch16_224: row(224, 0.9, HALF, hub('Xenova/vit-base-patch16-224')),
  vit_large_patch16_224: row(224, 0.9, HALF, timm('vit_large_patch16_224.augreg_in21k_ft_in1k')),
  convnext_tiny: row(224, 0.875, IMAGENET, hub('Xenova/convnext-tiny-224')),
  convnext_small: row(224, 0.875, IMAGENET, timm('convnext_small.fb_in22k_ft_in1k')),
  convnext_base: row(224, 0.875, IMAGENET, hub('Xenova/convnext-base-224')),
  efficientnet_b0: row(224, 0.875, IMAGENET, timm('efficientnet_b0.ra_in1k')),
  efficientnet_b1: row(240, 0.882, HALF, timm('efficientnet_b1.ra4_e3600_r240_in1k')),
  efficientnet_b2: row(256, 0.875, IMAGENET, timm('efficientnet_b2.ra_in1k')),
  efficientnet_b3: row(288, 0.875, IMAGENET, timm('efficientnet_b3.ra2_in1k')),
  efficientnetv2_rw_s: row(288, 0.95, IMAGENET, timm('efficientnetv2_rw_s.ra2_in1k')),
  efficientnetv2_rw_m: row(320, 0.95, IMAGENET, timm('efficientnetv2_rw_m.agc_in1k')),
  tf_efficientnetv2_s: row(300, 0.95, HALF, timm('tf_efficientnetv2_s.in21k_ft_in1k')),
  tf_efficientnetv2_m: row(384, 0.95, HALF, timm('tf_efficientnetv2_m.in21k_ft_in1k')),
  swin_tiny_patch4_window7_224: row(224, 0.9, IMAGENET, hub('Xenova/swin-tiny-patch4-window7-224')),
  swin_small_patch4_window7_224: row(
    224,
    0.9,
    IMAGENET,
    timm('swin_small_patch4_window7_224.ms_in22k_ft_in1k'),
  ),
  swin_base_patch4_window7_224: row(
    224,
    0.9,
    IMAGENET,
    timm('swin_base_patch4_window7_224.ms_in22k_ft_in1k'),
  ),
  resnet50: row(224, 0.95, IMAGENET, hub('Xenova/resnet-50')),
  resnet101: row(224, 0.95, IMAGENET, timm('resnet101.a1h_in1k')),
  dinov2_vits14: row(224, 0.875, IMAGENET, hub('onnx-community/dinov2-small')),
  dinov2_vitb14: row(224, 0.875, IMAGENET, hub('onnx-community/dinov2-base')),
};

/** Outputs that hold features in files that end in them; a file with none of them ends in a classifier. */
const FEATURE_OUTPUTS: FeatureOutputs = [
  { name: 'last_hidden_state', pooling: 'class_token' },
  { name: 'image_embeds', pooling: 'as_is' },
  { name: 'pooler_output', pooling: 'as_is' },
  { name: 'embedding', pooling: 'as_is' },
];

/**
 * The files of a model to train from, and how pictures are made for it. A file that leaves its input's size open is run
 * with `side` pixels.
 * @throws ModelError as `findPlacedModel` does
 */
export async function findBackbone(
  name: BackboneName,
  { side: wanted, ...options }: PlacesOptions & { side: number },
): Promise<Backbone> {
  const place = placeOf(RENAMED[name] ?? name);
  const files = await findPlacedModel(place, options);
  const { graph } = readModel(files.bytes);
  const dims = requiredInputs(graph).map(dimsOf)[0] ?? [];
  const fixed = dims.at(-1);
  const side = typeof fixed === 'number' ? fixed : wanted;
  const outputs = new Set(graph.outputs.map((output) => output.name));
  const features = FEATURE_OUTPUTS.filter((output) => outputs.has(output.name));
  return {
    ...files,
    side,
    preprocessing: withSide(files.preprocessing, side),
    features: features.length === 0 ? null : features,
    isTrainable: name !== 'demo',
  };
}

function placeOf(name: BackboneName): ModelPlace {
  if (name === 'demo') {
    return { name, source: null, preprocessing: CATALOGUE.demo.preprocessing, build: buildDemoDescriptor };
  }
  const { source, side, crop, normalise } = ROWS[name as keyof typeof ROWS];
  const preprocessing: Preprocessing = {
    resize: { kind: 'shortest_edge', size: Math.floor(side / crop) },
    resample: 'bicubic',
    crop: { width: side, height: side },
    rescale: RESCALE,
    ...normalise,
    ...POLICY,
  };
  return { name, source, preprocessing };
}

/** The same preparation for pictures of another size: what is cut away stays the same part. */
function withSide(preprocessing: Preprocessing, side: number): Preprocessing {
  const { resize, crop } = preprocessing;
  const exact = { kind: 'exact', width: side, height: side } as const;
  if (crop === null) return { ...preprocessing, resize: exact };
  if (crop.width === side && crop.height === side) return preprocessing;
  const factor = side / Math.min(crop.width, crop.height);
  const scaled =
    resize.kind === 'exact'
      ? {
          kind: 'exact' as const,
          width: Math.round(resize.width * factor),
          height: Math.round(resize.height * factor),
        }
      : { kind: 'shortest_edge' as const, size: Math.round(resize.size * factor) };
  return { ...preprocessing, resize: scaled, crop: { width: side, height: side } };
}
