/** What `cls_training_runs` calls a model: `vit`, `base`. */
export interface Architecture {
  model_type: string;
  model_size: string;
}

const FAMILIES: readonly { name: RegExp; type: string }[] = [
  { name: /^vit_(\w+?)_/, type: 'vit' },
  { name: /^convnext_(\w+)$/, type: 'convnext' },
  { name: /^efficientnet_(\w+)$/, type: 'efficientnet' },
  { name: /^(?:tf_)?efficientnet(v2(?:_rw)?_\w+)$/, type: 'efficientnet' },
  { name: /^swin_(\w+?)_/, type: 'swin' },
  { name: /^resnet(\d+)$/, type: 'resnet' },
  { name: /^dinov2_vit(\w)/, type: 'dinov2' },
  { name: /^demo_(\w+)$/, type: 'demo' },
];

/** DINOv2's letters. */
const SIZES: Readonly<Record<string, string>> = { s: 'small', b: 'base', l: 'large', g: 'giant' };

/** Family and size of a backbone by its name (timm's): `vit_base_patch16_224` is a `vit`, `base`. */
export function architectureOf(modelName: string): Architecture {
  for (const { name, type } of FAMILIES) {
    const size = name.exec(modelName)?.[1];
    if (size !== undefined) return { model_type: type, model_size: SIZES[size] ?? size };
  }
  return { model_type: modelName, model_size: 'default' };
}
