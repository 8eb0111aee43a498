import type { Preprocessing } from '../../image/preprocessing.ts';
import { graphBuilder, type GraphBuilder } from '../../onnx/build.ts';
import type { OnnxModel } from '../../onnx/types.ts';
import {
  axisShares,
  blurred,
  cells,
  centred,
  directionShares,
  gradient,
  localContrast,
  lowered,
  opponentColours,
  share,
  softHistogram,
} from './picture-ops.ts';
import { trimLightMargin } from './trim-margin.ts';

/** Edge of the square that the descriptor looks at, in pixels. */
const SIZE = 96;
const COLOUR_GRID = 6;
const EDGE_GRID = 6;
const COARSE_GRID = 4;
const DIRECTIONS = 8;
const BANDS = 4;
const HUES = 8;
const HISTOGRAM_BANDS = 3;
/** Gaussian scale of fine and coarse edges, in pixels. */
const FINE = 1;
const COARSE = 2.2;
/** Gaussian scale of the neighbourhood that contrast is measured against, in pixels. */
const NEIGHBOURHOOD = 6;
/** Strengths are raised to this power: few strong edges must not outweigh many. */
const POWER = 0.7;

interface Block {
  values: string;
  length: number;
  /** Share of the block in the similarity of two pictures. */
  weight: number;
}

const LENGTHS = {
  colour: 2 * COLOUR_GRID ** 2,
  histogram: (1 + 2 * HUES) * (1 + HISTOGRAM_BANDS),
  fine: DIRECTIONS * EDGE_GRID ** 2,
  coarse: DIRECTIONS * COARSE_GRID ** 2,
  bands: DIRECTIONS * BANDS,
};

/** Length of the demo descriptor's vectors: 620. */
export const DEMO_DIM =
  LENGTHS.colour + LENGTHS.histogram + LENGTHS.fine + LENGTHS.coarse + 2 * LENGTHS.bands;

/** The picture is stretched to a square: a cutout and a packshot are both bounded by the product, whatever its form. */
export const demoPreprocessing: Preprocessing = {
  resize: { kind: 'exact', width: SIZE, height: SIZE },
  resample: 'bilinear',
  crop: null,
  rescale: 1 / 255,
  mean: [0, 0, 0],
  std: [1, 1, 1],
  rescaleBeforeResize: false,
  orient: true,
  alpha: 'drop',
};

/**
 * An image descriptor by formula alone, nothing learnt: where is which colour, which colours are there, and where do
 * edges of which direction run. Ordinary ONNX operators (opset 17), `pixel_values [batch, 3, 96, 96]` in 0..1 to
 * `image_embeds [batch, 620]`, not normalised.
 *
 * A light empty margin is cut away first. Colours are opponent colours divided by brightness and edges are taken from
 * local contrast of the logarithm, so that more or less light changes little; grids are of soft cells that fade
 * towards the picture's edge, where a cutout shows its neighbours. In the spirit of histograms of oriented gradients
 * (Dalal and Triggs, 2005) and of opponent-colour histograms (van de Sande et al., 2010).
 */
export function buildDemoDescriptor(): OnnxModel {
  const g = graphBuilder({ name: 'demo-descriptor', opset: 17 });
  const pixels = g.input('pixel_values', 'float32', ['batch', 3, SIZE, SIZE]);
  const picture = trimLightMargin(g, pixels, SIZE);
  const colours = opponentColours(g, blurred(g, picture, { channels: 3, sigma: 1 }));
  const contrast = localContrast(g, picture, NEIGHBOURHOOD);
  const fine = gradient(g, contrast, FINE);
  const coarse = gradient(g, contrast, COARSE);

  const blocks: Block[] = [
    { values: cells(g, colours, SIZE, COLOUR_GRID), length: LENGTHS.colour, weight: 1 },
    { values: colourHistogram(g, colours), length: LENGTHS.histogram, weight: 0.8 },
    { values: edgeGrid(g, fine, EDGE_GRID), length: LENGTHS.fine, weight: 2 },
    { values: edgeGrid(g, coarse, COARSE_GRID), length: LENGTHS.coarse, weight: 0.8 },
    { values: edgeBands(g, fine), length: LENGTHS.bands, weight: 1 },
    { values: edgeBands(g, coarse), length: LENGTHS.bands, weight: 1 },
  ];
  const parts = blocks.map((block) => share(g, block));
  const all = g.node('Concat', parts, { attributes: { axis: 1 } });
  g.output(all, 'float32', ['batch', DEMO_DIM], 'image_embeds');
  return g.toModel();
}

/** How much of each colour there is: on the whole, and in three bands from top to bottom. */
function colourHistogram(g: GraphBuilder, colours: string): string {
  const soft = softHistogram(g, colours, HUES);
  const whole = g.node('GlobalAveragePool', [soft]);
  const band = [SIZE / HISTOGRAM_BANDS, SIZE];
  const bands = g.node('AveragePool', [soft], { attributes: { kernel_shape: band, strides: band } });
  return g.node('Sqrt', [g.node('Concat', [whole, bands], { attributes: { axis: 2 } })]);
}

/** Edges by direction (light to dark) and place; what a direction has everywhere is taken off. */
function edgeGrid(g: GraphBuilder, slopes: string, grid: number): string {
  const strength = lowered(g, cells(g, directionShares(g, slopes, DIRECTIONS), SIZE, grid), POWER);
  return centred(g, strength, [2, 3]);
}

/** Edges by axis in bands from top to bottom: the kind of pattern, wherever a turned product shows it. */
function edgeBands(g: GraphBuilder, slopes: string): string {
  const strength = cells(g, axisShares(g, slopes, DIRECTIONS), SIZE, BANDS, 1);
  return centred(g, lowered(g, strength, POWER), [1, 2, 3]);
}
