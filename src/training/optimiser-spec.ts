/** How a gradient becomes a change. Weights of one dimension (biases, norms) never decay. */
export type OptimiserSpec =
  /** Loshchilov and Hutter, 2019: decay beside the gradient. */
  | { kind: 'adamw'; weightDecay: number; beta1?: number; beta2?: number; epsilon?: number }
  /** Kingma and Ba, 2015: decay within the gradient. */
  | { kind: 'adam'; weightDecay: number; beta1?: number; beta2?: number; epsilon?: number }
  /** As torch's: v = momentum · v + g, p −= rate · v; with Nesterov p −= rate · (g + momentum · v). */
  | { kind: 'sgd'; weightDecay: number; momentum?: number; nesterov?: boolean };
